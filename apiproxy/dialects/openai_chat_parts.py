"""One part of a canonical reply -> what a Chat Completions answer says of it (reference 5.2)."""

from __future__ import annotations

import re
from typing import Any

from apiproxy.wire import codec
from apiproxy.wire.types import Call, Json, Usage
from apiproxy.wire.usage import candidates

_BACKTICKS = re.compile(r"`{3,}")
_COMPLETION_PREFIX = "chatcmpl-"


def completion_id(call: Call) -> str:
    return _COMPLETION_PREFIX + call.head.request_id.removeprefix("req_")


def delta_of(part: Json, call: Call) -> Json:
    """content, reasoning_content, images or audio; {} for what a client is not shown. Calls: see `tool_call`."""
    text = part.get("text")
    if isinstance(text, str) and text:
        return {"reasoning_content" if part.get("thought") else "content": text}
    if isinstance(blob := part.get("inlineData"), dict) and not part.get("thought"):
        return _media(blob, call)
    if isinstance(code := part.get("executableCode"), dict):
        language = _text(code.get("language")).lower()
        return {"content": _fenced(_text(code.get("code")), language)}
    if isinstance(result := part.get("codeExecutionResult"), dict):
        return {"content": _fenced(_text(result.get("output")), "")}
    return {}


def _media(blob: Json, call: Call) -> Json:
    mime, data = _text(blob.get("mimeType")), _text(blob.get("data"))
    if mime.startswith("audio/"):
        return {
            "audio": {
                "id": "audio_" + call.head.request_id.removeprefix("req_"),
                "data": data,
                "transcript": "",
                # Nothing is kept here that the id could be used for later.
                "expires_at": int(call.head.received_at),
            }
        }
    url = f"data:{mime};base64,{data}"
    if call.chat_images == "images":
        return {"images": [{"type": "image_url", "image_url": {"url": url}}]}
    return {"content": f"![image]({url})"}


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"\n{fence}{language}\n{text.rstrip()}\n{fence}\n"


def tool_call(part: Json, call: Call) -> Json:
    """An entry of `tool_calls`, without the index that streams add. The relay has given every call an id."""
    function = part["functionCall"]
    name = _text(function.get("name"))
    entry: Json = {
        "id": function.get("id"),
        "type": "function",
        "function": {
            "name": call.function_names.get(name, name),
            "arguments": codec.dumps(function.get("args") or {}).decode(),
        },
    }
    if signature := part.get("thoughtSignature"):
        entry["extra_content"] = {"google": {"thought_signature": signature}}
    return entry


def is_call(part: Json) -> bool:
    return isinstance(part.get("functionCall"), dict)


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
    token = _text(item.get("token"))
    return {
        "token": token,
        "logprob": item.get("logProbability", 0.0),
        "bytes": list(token.encode("utf-8", "replace")),
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
