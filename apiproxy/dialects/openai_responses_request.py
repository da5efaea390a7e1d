"""A Responses request -> `Call` (reference 5.4, 5.5)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from apiproxy.dialects import generation, thinking
from apiproxy.dialects.base import Resolve
from apiproxy.dialects.fields import (
    as_choice,
    as_flag,
    as_integer,
    as_list,
    as_name,
    as_object,
    as_text,
    not_understood,
)
from apiproxy.dialects.openai_responses_echo import echo_of
from apiproxy.dialects.openai_responses_input import InputReader
from apiproxy.dialects.openai_responses_stored import is_reference
from apiproxy.dialects.openai_responses_tools import ResponsesTools
from apiproxy.dialects.tools import settle_conflicts
from apiproxy.wire.types import Action, Call, Head, Json, Kept, Model, ResponsesRequest
from gateway.lib.errors import InvalidRequest

_ENCRYPTED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"
_MOST_LOGPROBS = 20
_UNDERSTOOD = frozenset(
    {
        "background",
        "conversation",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "reasoning",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "truncation",
    }
)


class Recalled(Struct, frozen=True):
    """What this site has stored of earlier answers, as far as a request builds on it."""

    stores: bool = True
    """False: nothing is stored here, so nothing can be built on."""
    history: list[Json] = field(default_factory=list)
    """Input and output items of the response it continues."""
    items: dict[str, Json] = field(default_factory=dict)
    """Items it refers to, by their ids."""
    size_bytes: int = 0
    """Of all that was looked up."""


def response_id_of(request_id: str) -> str:
    return "resp_" + request_id.removeprefix("req_")


def parse(body: Json, head: Head, resolve: Resolve, recalled: Recalled | None = None) -> Call:
    recalled = recalled or Recalled()
    as_object(body, "")
    requested = as_name(body.get("model"), "model")
    model = resolve(requested)
    _refuse(body)
    dropped = not_understood(body, _UNDERSTOOD)
    if body.get("truncation") == "auto":
        dropped.append("truncation: a conversation that is too long is refused by the upstream")
    items = _items(body, recalled)
    tools = ResponsesTools(model, dropped)
    if (offered := body.get("tools")) is not None:
        tools.read(offered, "tools")
    tools.read_carried(items)
    names = tools.names()
    remote: list[Json] = []
    reader = InputReader(model, names, remote, dropped)
    if (instructions := body.get("instructions")) is not None:
        reader.instruct(as_text(instructions, "instructions"))
    for item, at in items:
        reader.read(item, at)
    canonical = reader.canonical()
    if declared := tools.canonical(names):
        canonical["tools"] = declared
    if (choice := tools.choice(body.get("tool_choice"), names)) is not None:
        canonical["toolConfig"] = choice
    include = _include(body.get("include"))
    if config := _generation_config(body, include, model, dropped):
        canonical["generationConfig"] = config
    if (tier := body.get("service_tier")) in ("flex", "priority"):
        canonical["serviceTier"] = tier
    settle_conflicts(canonical, model, dropped)
    parallel = body.get("parallel_tool_calls")
    store = _store(body.get("store"), recalled)
    return Call(
        head=head,
        dialect="openai-responses",
        model=model,
        requested_model=requested,
        action=Action.GENERATE,
        stream=as_flag(body.get("stream"), "stream"),
        body=canonical,
        single_tool_call=parallel is not None and not as_flag(parallel, "parallel_tool_calls"),
        function_names=names.changed,
        remote_parts=remote,
        responses=ResponsesRequest(
            echo=echo_of(body, store),
            tool_forms=tools.forms(names),
            encrypted=_ENCRYPTED in include or not store,
            signatures=_ENCRYPTED in include,
        ),
        kept=_kept(head, items) if store else None,
        dropped=dropped,
    )


def _refuse(body: Json) -> None:
    """What cannot be done without: a client that asks for it would wait in vain."""
    if as_flag(body.get("background"), "background"):
        raise InvalidRequest(
            "background responses are not offered here: leave background out", param="background"
        )
    if body.get("conversation") is not None:
        raise InvalidRequest(
            "conversations are not kept here: continue with previous_response_id, or send the whole input",
            param="conversation",
        )
    if body.get("previous_response_id") is not None:
        as_name(body["previous_response_id"], "previous_response_id")


def _store(value: Any, recalled: Recalled) -> bool:
    wanted = value is None or as_flag(value, "store")
    if value is not None and wanted and not recalled.stores:
        raise InvalidRequest("this site stores no responses: send store as false", param="store")
    return wanted and recalled.stores


def _items(body: Json, recalled: Recalled) -> list[tuple[Json, str]]:
    """(item, where it stands), those of the response that is continued first; references are resolved."""
    value = body.get("input")
    at = "input"
    if isinstance(value, str):
        given = [({"role": "user", "content": value}, at)]
    elif value is None and recalled.history:
        given = []
    else:
        given = [
            (_resolved(as_object(item, f"{at}[{n}]"), recalled), f"{at}[{n}]")
            for n, item in enumerate(as_list(value, at))
        ]
        if not given and not recalled.history:
            raise InvalidRequest("input must hold at least one item", param=at)
    return [(item, "previous_response_id") for item in recalled.history] + given


def _resolved(item: Json, recalled: Recalled) -> Json:
    """The item itself, or what it refers to; what is stored nowhere was refused when it was looked for."""
    if not is_reference(item):
        return item
    name = item.get("id")
    return recalled.items.get(name, item) if isinstance(name, str) else item


def _kept(head: Head, items: list[tuple[Json, str]]) -> Kept:
    return Kept(id=response_id_of(head.request_id), input=[item for item, _ in items])


def _include(value: Any) -> frozenset[str]:
    if value is None:
        return frozenset()
    return frozenset(
        as_text(item, f"include[{n}]") for n, item in enumerate(as_list(value, "include"))
    )


def _generation_config(
    body: Json, include: frozenset[str], model: Model, dropped: list[str]
) -> Json:
    config: Json = {}
    generation.add_sampling(config, body)
    generation.add_output_limit(config, body, model, "max_output_tokens")
    top = body.get("top_logprobs")
    if top is not None:
        top = as_integer(top, "top_logprobs", 0, _MOST_LOGPROBS)
    if top or _LOGPROBS in include:
        generation.add_logprobs(config, {"logprobs": True, "top_logprobs": top}, model, dropped)
    if (text := body.get("text")) is not None:
        options = as_object(text, "text")
        _add_format(config, options.get("format"), dropped)
        if options.get("verbosity") is not None:
            dropped.append("text.verbosity")
    generation.add_modalities(config, None, model)
    asked = _thinking_config(body.get("reasoning"), model, dropped)
    if asked is not None:
        config["thinkingConfig"] = asked
    return config


def _add_format(config: Json, value: Any, dropped: list[str]) -> None:
    """The schema stands in the format itself here."""
    if value is None:
        return
    at = "text.format"
    given = as_object(value, at)
    kind = as_choice(given.get("type"), f"{at}.type", ("text", "json_object", "json_schema"))
    if kind != "text":
        wanted = given.get("schema") if kind == "json_schema" else None
        generation.add_output_schema(config, wanted, f"{at}.schema", dropped)


def _thinking_config(value: Any, model: Model, dropped: list[str]) -> Json | None:
    """A client that says nothing of reasoning is shown none, as by OpenAI: some take it for text of the answer."""
    if value is None:
        return None
    effort = as_object(value, "reasoning").get("effort")
    if effort is None:
        return thinking.default_config(model.thinking)
    config = thinking.from_effort(model.thinking, effort, "reasoning.effort")
    if config is None:
        dropped.append(f"reasoning.effort: {model.id} does not think")
    return config
