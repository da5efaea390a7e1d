"""Native Gemini requests -> `Call`: checked where the gateway looks, passed on as they are elsewhere (reference 5.3)."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import gemini_contents, gemini_embed
from apiproxy.dialects.base import Resolve
from apiproxy.dialects.fields import as_flag, as_name, as_object
from apiproxy.wire.types import Action, Call, Framing, Head, Json
from gateway.lib.errors import InvalidRequest, UnknownRoute

_ACTIONS = {
    "generateContent": Action.GENERATE,
    "streamGenerateContent": Action.GENERATE,
    "countTokens": Action.COUNT_TOKENS,
    "embedContent": Action.EMBED,
    gemini_embed.BATCH: Action.EMBED,
}
_STREAMING = "streamGenerateContent"
# Both spellings come in (reference 3.1); only what the gateway or a provider reads is brought to one.
_TOP_LEVEL = {
    "system_instruction": "systemInstruction",
    "generation_config": "generationConfig",
    "safety_settings": "safetySettings",
    "tool_config": "toolConfig",
    "cached_content": "cachedContent",
    "service_tier": "serviceTier",
    "generate_content_request": "generateContentRequest",
}
_GENERATION = {
    "max_output_tokens": "maxOutputTokens",
    "candidate_count": "candidateCount",
    "response_modalities": "responseModalities",
    "response_mime_type": "responseMimeType",
    "thinking_config": "thinkingConfig",
    "image_config": "imageConfig",
}
_IMAGE = {"image_size": "imageSize"}


def parse(body: Json, head: Head, resolve: Resolve) -> Call:
    """The model and the method are those of the path."""
    action = _ACTIONS.get(head.path_method)
    if action is None:
        raise UnknownRoute(f"there is no method {head.path_method[:64]!r} on models")
    model = resolve(head.path_model)
    notes: list[str] = []
    if action is Action.EMBED:
        gemini_embed.check(body, head.path_method)
    else:
        _check(body, action, notes)
    return Call(
        head=head,
        dialect="gemini",
        model=model,
        requested_model=head.path_model,
        action=action,
        stream=head.path_method == _STREAMING,
        body=body,
        framing=Framing.SSE if head.sse else Framing.ARRAY,
        dropped=notes,
    )


def is_gemini_body(body: Any) -> bool:
    """A native body that was sent to a Chat Completions address."""
    return isinstance(body, dict) and "contents" in body and "messages" not in body


def parse_chat_body(body: Json, head: Head, resolve: Resolve) -> Call:
    """As `parse`, but `model` and `stream` stand in the body, as they do for Chat Completions."""
    as_object(body, "")
    requested = as_name(body.pop("model", None), "model")
    stream = as_flag(body.pop("stream", None), "stream")
    model = resolve(requested)
    notes: list[str] = []
    _check(body, Action.GENERATE, notes)
    return Call(
        head=head,
        dialect="gemini",
        model=model,
        requested_model=requested,
        action=Action.GENERATE,
        stream=stream,
        body=body,
        dropped=notes,
    )


def _check(body: Json, action: Action, notes: list[str]) -> None:
    as_object(body, "")
    _normalise(body)
    if action is Action.COUNT_TOKENS and body.get("generateContentRequest") is not None:
        at = "generateContentRequest"
        inner = as_object(body[at], at)
        _normalise(inner)
        inner["contents"] = gemini_contents.mended(inner.get("contents"), f"{at}.contents", notes)
    else:
        body["contents"] = gemini_contents.mended(body.get("contents"), "contents", notes)


def _normalise(body: Json) -> None:
    _rename(body, _TOP_LEVEL)
    gemini_contents.listed(body, "tools", "safetySettings")
    if isinstance(system := body.get("systemInstruction"), dict):
        gemini_contents.listed(system, "parts")
    if (config := body.get("generationConfig")) is not None:
        at = "generationConfig"
        _rename(as_object(config, at), _GENERATION, f"{at}.")
        if isinstance(image := config.get("imageConfig"), dict):
            _rename(image, _IMAGE, f"{at}.imageConfig.")


def _rename(value: Json, names: dict[str, str], at: str = "") -> None:
    for snake in names.keys() & value.keys():
        camel = names[snake]
        if value.get(camel) is not None:
            # Which of the two the upstream would take is not known, and what it takes has its price.
            raise InvalidRequest(f"{at}{camel} is given in both spellings", param=at + snake)
        value[camel] = value.pop(snake)
