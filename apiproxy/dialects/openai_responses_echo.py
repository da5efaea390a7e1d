"""The fields of a Responses request that its answer repeats (reference 5.5)."""

from __future__ import annotations

from apiproxy.dialects.fields import as_choice, as_integer, as_object, as_text
from apiproxy.wire.types import Json

_ECHOED = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "safety_identifier",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
)
_TEXTS = ("prompt_cache_key", "safety_identifier", "service_tier", "user")
_MOST_TOOL_CALLS = 2**31 - 1


def echo_of(body: Json, store: bool) -> Json:
    """Null for what was not asked: the upstream's own defaults are not known here. What is used elsewhere has been
    checked there.
    """
    _check(body)
    metadata, reasoning = body.get("metadata"), body.get("reasoning") or {}
    text = body.get("text") or {}
    parallel = body.get("parallel_tool_calls")
    tier = body.get("service_tier")
    return {
        **{key: body.get(key) for key in _ECHOED},
        "metadata": {} if metadata is None else metadata,
        "parallel_tool_calls": parallel is None or parallel,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": tier if tier in ("flex", "priority") else "default",
        "store": store,
        "text": {**text, "format": text.get("format") or {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "truncation": body.get("truncation") or "disabled",
    }


def _check(body: Json) -> None:
    for key in _TEXTS:
        if (value := body.get(key)) is not None:
            as_text(value, key)
    if (value := body.get("metadata")) is not None:
        for name, text in as_object(value, "metadata").items():
            as_text(text, f"metadata.{name}")
    if (value := body.get("truncation")) is not None:
        as_choice(value, "truncation", ("auto", "disabled"))
    if (value := body.get("max_tool_calls")) is not None:
        as_integer(value, "max_tool_calls", 1, _MOST_TOOL_CALLS)
    if (value := body.get("stream_options")) is not None:
        as_object(value, "stream_options")
