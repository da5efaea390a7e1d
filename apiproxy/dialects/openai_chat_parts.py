"""One part of a canonical reply -> what a Chat Completions answer says of it (reference 5.2)."""

from __future__ import annotations

from apiproxy.dialects.content import (
    arguments_text,
    as_written,
    call_name,
    is_call,
    media_url,
    shown_text,
)
from apiproxy.dialects.tools import custom_input
from apiproxy.wire.types import Call, Json, Usage
from apiproxy.wire.usage import candidates

__all__ = ["completion_id", "delta_of", "is_call", "logprobs", "tool_call", "usage_object"]

_COMPLETION_PREFIX = "chatcmpl-"


def completion_id(call: Call) -> str:
    return _COMPLETION_PREFIX + call.head.request_id.removeprefix("req_")


def delta_of(part: Json, call: Call) -> Json:
    """content, reasoning_content, images or audio; {} for what a client is not shown. Calls: see `tool_call`."""
    if text := shown_text(part):
        return {"reasoning_content" if part.get("thought") else "content": text}
    if not part.get("thought") and (url := media_url(part)):
        return _media(part, url, call)
    return {}


def _media(part: Json, url: str, call: Call) -> Json:
    blob = part.get("inlineData") or {}
    if as_written(blob.get("mimeType")).startswith("audio/"):
        return {
            "audio": {
                "id": "audio_" + call.head.request_id.removeprefix("req_"),
                "data": as_written(blob.get("data")),
                "transcript": "",
                # Nothing is kept here that the id could be used for later.
                "expires_at": int(call.head.received_at),
            }
        }
    if call.chat_images == "images":
        return {"images": [{"type": "image_url", "image_url": {"url": url}}]}
    return {"content": f"![image]({url})"}


def tool_call(part: Json, call: Call) -> Json:
    """An entry of `tool_calls`, without the index that streams add. The relay has given every call an id."""
    made = part["functionCall"]
    entry: Json = {"id": made.get("id")}
    if as_written(made.get("name")) in call.custom_tools:
        text = custom_input(made.get("args"))
        entry |= {"type": "custom", "custom": {"name": call_name(part, call), "input": text}}
    else:
        function = {"name": call_name(part, call), "arguments": arguments_text(part)}
        entry |= {"type": "function", "function": function}
    if signature := part.get("thoughtSignature"):
        entry["extra_content"] = {"google": {"thought_signature": signature}}
    return entry


def usage_object(usage: Usage) -> Json:
    """Cached tokens are part of the prompt's here (reference 5.2)."""
    completion = usage.output_tokens + usage.thinking_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": completion,
        "total_tokens": usage.input_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.thinking_tokens},
    }


def logprobs(candidate: Json) -> Json | None:
    result = candidate.get("logprobsResult")
    if not isinstance(result, dict):
        return None
    chosen = candidates({"candidates": result.get("chosenCandidates")})
    others = candidates({"candidates": result.get("topCandidates")})
    content: list[Json] = []
    for position, item in enumerate(chosen):
        alternatives = others[position] if position < len(others) else {}
        entry = _token(item)
        entry["top_logprobs"] = [_token(other) for other in candidates(alternatives)]
        content.append(entry)
    return {"content": content, "refusal": None}


def _token(item: Json) -> Json:
    token = as_written(item.get("token"))
    return {
        "token": token,
        "logprob": item.get("logProbability", 0.0),
        "bytes": list(token.encode("utf-8", "replace")),
    }
