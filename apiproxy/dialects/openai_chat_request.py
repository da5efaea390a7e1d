"""A Chat Completions request -> `Call` (reference 5.1, 5.4)."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import generation, speech, thinking
from apiproxy.dialects.base import Resolve
from apiproxy.dialects.fields import as_flag, as_name, as_object, as_text, either, not_understood
from apiproxy.dialects.openai_chat_messages import read_messages
from apiproxy.dialects.openai_chat_tools import read_choice, read_tools
from apiproxy.dialects.tools import settle_conflicts
from apiproxy.wire.types import Action, Call, Head, Json, Model

_UNDERSTOOD = frozenset(
    {
        "audio",
        "extra_body",
        "frequency_penalty",
        "function_call",
        "functions",
        "google",
        "image_config",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "modalities",
        "model",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "safety_settings",
        "seed",
        "service_tier",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "web_search_options",
    }
)
_RARE_OPTIONS = frozenset(
    {"stop", "n", "logprobs", "presence_penalty", "frequency_penalty", "response_format"}
)
_GOOGLE_FIELDS = frozenset(
    {
        "thinking_config",
        "thinkingConfig",
        "image_config",
        "imageConfig",
        "cached_content",
        "cachedContent",
        "safety_settings",
        "safetySettings",
    }
)


def parse(body: Json, head: Head, resolve: Resolve) -> Call:
    as_object(body, "")
    requested = as_name(body.get("model"), "model")
    model = resolve(requested)
    dropped = not_understood(body, _UNDERSTOOD)
    remote: list[Json] = []
    tools = read_tools(body, dropped)
    names = tools.names()
    contents, system = read_messages(body.get("messages"), model, names, remote, dropped)
    google, at = _google(body, dropped)
    canonical: Json = {"contents": contents}
    if system is not None:
        canonical["systemInstruction"] = system
    if offered := tools.canonical(names):
        canonical["tools"] = offered
    if (choice := read_choice(body, tools, names)) is not None:
        canonical["toolConfig"] = choice
    if config := _generation_config(body, google, at, model, dropped):
        canonical["generationConfig"] = config
    _add_rest(canonical, body, google, at)
    settle_conflicts(canonical, model, dropped)
    stream = as_flag(body.get("stream"), "stream")
    return Call(
        head=head,
        dialect="openai-chat",
        model=model,
        requested_model=requested,
        action=Action.GENERATE,
        stream=stream,
        body=canonical,
        include_usage=_include_usage(body.get("stream_options")),
        single_tool_call=_single_tool_call(body.get("parallel_tool_calls")),
        function_names=names.changed,
        remote_parts=remote,
        sound_format=speech.read_format(body.get("audio"), stream=stream, dropped=dropped),
        custom_tools=tools.custom(names),
        dropped=dropped,
    )


def _google(body: Json, dropped: list[str]) -> tuple[Json, str]:
    """Google's own options and where they stand: `extra_body.google`, else a top-level `google`."""
    at = "google"
    google = body.get("google")
    if (extra := body.get("extra_body")) is not None:
        inner = as_object(extra, "extra_body").get("google")
        if inner is not None:
            at, google = "extra_body.google", inner
    if google is None:
        return {}, at
    options = as_object(google, at)
    dropped.extend(not_understood(options, _GOOGLE_FIELDS, f"{at}."))
    return options, at


def _generation_config(body: Json, google: Json, at: str, model: Model, dropped: list[str]) -> Json:
    config: Json = {}
    generation.add_sampling(config, body)
    generation.add_output_limit(config, body, model, "max_completion_tokens", "max_tokens")
    if not _RARE_OPTIONS.isdisjoint(body):
        generation.add_stop(config, body.get("stop"), "stop", dropped)
        generation.add_candidates(config, body.get("n"), model)
        generation.add_logprobs(config, body, model, dropped)
        generation.note_penalties(body, dropped)
        generation.add_response_format(
            config, body.get("response_format"), "response_format", dropped
        )
    generation.add_modalities(config, body.get("modalities"), model)
    generation.add_speech(config, body.get("audio"))
    generation.add_image_config(config, body.get("image_config"), "image_config")
    generation.add_image_config(
        config, either(google, "image_config", "imageConfig"), f"{at}.image_config"
    )
    asked = _thinking_config(body, google, at, model, dropped)
    if asked is not None:
        config["thinkingConfig"] = asked
    return config


def _thinking_config(
    body: Json, google: Json, at: str, model: Model, dropped: list[str]
) -> Json | None:
    native = either(google, "thinking_config", "thinkingConfig")
    effort = body.get("reasoning_effort")
    if native is not None:
        place = f"{at}.thinking_config"
        config = thinking.from_native(model.thinking, as_object(native, place), place)
    elif effort is not None:
        place = "reasoning_effort"
        config = thinking.from_effort(model.thinking, effort, place)
    else:
        return thinking.default_config(model.thinking)
    if config is None:
        dropped.append(f"{place}: {model.id} does not think")
    return config


def _add_rest(canonical: Json, body: Json, google: Json, at: str) -> None:
    if (settings := body.get("safety_settings")) is not None:
        canonical["safetySettings"] = generation.safety_settings(settings, "safety_settings")
    elif (settings := either(google, "safety_settings", "safetySettings")) is not None:
        place = f"{at}.safety_settings"
        canonical["safetySettings"] = generation.safety_settings(settings, place)
    if (cached := either(google, "cached_content", "cachedContent")) is not None:
        canonical["cachedContent"] = as_text(cached, f"{at}.cached_content")
    if (tier := body.get("service_tier")) in ("flex", "priority"):
        canonical["serviceTier"] = tier


def _include_usage(options: Any) -> bool:
    if options is None:
        return False
    value = as_object(options, "stream_options").get("include_usage")
    return as_flag(value, "stream_options.include_usage")


def _single_tool_call(value: Any) -> bool:
    return value is not None and not as_flag(value, "parallel_tool_calls")
