"""A Messages request, or one to count its tokens -> `Call` (reference 5.4, 5.6)."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import generation, thinking
from apiproxy.dialects.anthropic_tools import ClientTools
from apiproxy.dialects.anthropic_turns import read_conversation
from apiproxy.dialects.base import Resolve
from apiproxy.dialects.fields import (
    as_choice,
    as_flag,
    as_integer,
    as_name,
    as_object,
    not_understood,
    wrong,
)
from apiproxy.dialects.tools import settle_conflicts
from apiproxy.wire.types import Action, Call, Head, Json, Model

COUNT_TOKENS = "countTokens"

_UNDERSTOOD = frozenset(
    {
        "cache_control",
        "max_tokens",
        "messages",
        "model",
        "output_config",
        "output_format",
        "seed",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
_OUTPUT_OPTIONS = frozenset({"effort", "format"})
_THINKING = ("enabled", "adaptive", "between_tools", "disabled")
# "between_tools": no thinking, but words on the progress between calls, which Google's models have no mode for.
_UNTHINKING = ("between_tools", "disabled")
_DISPLAYS = ("summarized", "omitted", "updates")
_UNSEEN_THINKING = {"type": "adaptive", "display": "omitted"}
_MOST_TOKENS = 2**31 - 1


def parse(body: Json, head: Head, resolve: Resolve) -> Call:
    """`head.path_method` tells a request that only counts: it needs no `max_tokens`, and has no options."""
    as_object(body, "")
    requested = as_name(body.get("model"), "model")
    model = resolve(requested)
    counting = head.path_method == COUNT_TOKENS
    dropped = not_understood(body, _UNDERSTOOD)
    remote: list[Json] = []
    tools = ClientTools(body.get("tools"), dropped)
    tools.read_added(body.get("messages"))
    names = tools.names()
    contents, system = read_conversation(body, model, names, remote, dropped)
    canonical: Json = {"contents": contents}
    if system is not None:
        canonical["systemInstruction"] = system
    if offered := tools.canonical(names):
        canonical["tools"] = offered
    choice, single_tool_call = tools.choice(body.get("tool_choice"), names)
    if not counting:
        if choice is not None:
            canonical["toolConfig"] = choice
        canonical["generationConfig"] = _generation_config(body, model, dropped)
    settle_conflicts(canonical, model, dropped)
    return Call(
        head=head,
        dialect="anthropic-messages",
        model=model,
        requested_model=requested,
        action=Action.COUNT_TOKENS if counting else Action.GENERATE,
        stream=not counting and as_flag(body.get("stream"), "stream"),
        # Only this form counts tools and the system instruction too (reference 3.1).
        body={"generateContentRequest": canonical} if counting else canonical,
        single_tool_call=single_tool_call,
        function_names=names.changed,
        remote_parts=remote,
        dropped=dropped,
    )


def _generation_config(body: Json, model: Model, dropped: list[str]) -> Json:
    config: Json = {}
    generation.add_sampling(config, body)
    generation.add_stop(config, body.get("stop_sequences"), "stop_sequences", dropped)
    generation.add_modalities(config, None, model)
    options: Json = {}
    if (given := body.get("output_config")) is not None:
        options = as_object(given, "output_config")
        dropped.extend(not_understood(options, _OUTPUT_OPTIONS, "output_config."))
    _add_format(config, options.get("format"), "output_config.format", dropped)
    # Where the field stood before.
    _add_format(config, body.get("output_format"), "output_format", dropped)
    effort, at = _effort(body["messages"], options)
    asked = _thinking_config(body.get("thinking"), effort, at, model, dropped)
    if asked is not None:
        config["thinkingConfig"] = asked
    _add_output_limit(config, body, model, asked)
    return config


def _effort(messages: list[Json], options: Json) -> tuple[Any, str]:
    """(how much, where it stands): what a system message among the turns says holds from there on."""
    for number in reversed(range(len(messages))):
        given = messages[number].get("output_config")
        if given is not None and messages[number].get("role") == "system":
            at = f"messages[{number}].output_config"
            if (effort := as_object(given, at).get("effort")) is not None:
                return effort, f"{at}.effort"
    return options.get("effort"), "output_config.effort"


def _add_format(config: Json, value: Any, at: str, dropped: list[str]) -> None:
    if value is None:
        return
    given = as_object(value, at)
    as_choice(given.get("type"), f"{at}.type", ("json_schema",))
    generation.add_output_schema(
        config, as_object(given.get("schema"), f"{at}.schema"), f"{at}.schema", dropped
    )


def _add_output_limit(config: Json, body: Json, model: Model, asked: Json | None) -> None:
    """Upstream the thoughts count against the limit: all of a small one may go on them (gotcha 1)."""
    if body.get("max_tokens") is None:
        raise wrong("max_tokens", None, "a whole number of at least 1")
    generation.add_output_limit(config, body, model, "max_tokens")
    # What the model's name asks for wins in the end.
    asked = thinking.from_name(model) or asked
    wanted = config["maxOutputTokens"] + thinking.most_tokens(model.thinking, asked)
    config["maxOutputTokens"] = min(wanted, model.output_limit_tokens)


def _thinking_config(
    value: Any, effort: Any, effort_at: str, model: Model, dropped: list[str]
) -> Json | None:
    """`effort` says how much. A request that says nothing of thinking gets no thoughts to see, as with Anthropic; the
    model thinks by its own measure all the same, as it does in every other dialect."""
    if value is None and effort is None:
        return None if model.thinking.control == "none" else {"includeThoughts": False}
    asked = as_object(_UNSEEN_THINKING if value is None else value, "thinking")
    kind = as_choice(asked.get("type"), "thinking.type", _THINKING)
    config = thinking.from_effort(model.thinking, "auto" if effort is None else effort, effort_at)
    if kind in _UNTHINKING:
        return thinking.from_effort(model.thinking, "none", "thinking")
    if kind == "enabled" and (budget := asked.get("budget_tokens")) is not None:
        tokens = as_integer(budget, "thinking.budget_tokens", 1, _MOST_TOKENS)
        config = thinking.from_budget(model.thinking, tokens)
    if config is None:
        dropped.append(f"thinking: {model.id} does not think")
    elif _is_hidden(asked.get("display")):
        config["includeThoughts"] = False
    return config


def _is_hidden(display: Any) -> bool:
    return display is not None and as_choice(display, "thinking.display", _DISPLAYS) == "omitted"
