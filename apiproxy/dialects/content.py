"""What one part of a canonical reply is to a reader, whatever the dialect."""

from __future__ import annotations

import re
from typing import Any

from apiproxy.wire import codec
from apiproxy.wire.types import Call, Json

_BACKTICKS = re.compile(r"`{3,}")


def is_call(part: Json) -> bool:
    return isinstance(part.get("functionCall"), dict)


def shown_text(part: Json) -> str:
    """Text, or code and its result as fenced blocks; "" for what is not text. Thoughts are the caller's to tell apart."""
    text = part.get("text")
    if isinstance(text, str):
        return text
    if isinstance(code := part.get("executableCode"), dict):
        return _fenced(as_written(code.get("code")), as_written(code.get("language")).lower())
    if isinstance(result := part.get("codeExecutionResult"), dict):
        return _fenced(as_written(result.get("output")), "")
    return ""


def call_name(part: Json, call: Call) -> str:
    """The function as the client declared it."""
    name = as_written(part["functionCall"].get("name"))
    return call.function_names.get(name, name)


def arguments_text(part: Json) -> str:
    """The call's arguments as the JSON text that OpenAI's dialects carry."""
    return codec.dumps(part["functionCall"].get("args") or {}).decode()


def media_url(part: Json) -> str:
    """A data: URL, or the address of what was put into storage."""
    if isinstance(stored := part.get("fileData"), dict):
        return as_written(stored.get("fileUri"))
    blob = part.get("inlineData")
    if not isinstance(blob, dict):
        return ""
    return f"data:{as_written(blob.get('mimeType'))};base64,{as_written(blob.get('data'))}"


def as_written(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"\n{fence}{language}\n{text.rstrip()}\n{fence}\n"
