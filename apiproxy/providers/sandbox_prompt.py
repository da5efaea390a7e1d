"""What the sandbox understands of a canonical request. Clients may send any shape; what cannot be read is not there."""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct

from apiproxy.wire import codec

Json = dict[str, Any]

BYTES_A_TOKEN = 4


class Function(Struct, frozen=True):
    name: str
    schema: Any


class Prompt(Struct, frozen=True):
    model: str
    text: str
    """The last user turn; media stand in brackets."""
    system: str
    input_tokens: int
    fingerprint: int
    """The same for the same request."""
    functions: tuple[Function, ...] = ()
    """Those that may be called."""
    tool_answers: tuple[tuple[str, Any], ...] = ()
    """Name and response of every function response in the last turn."""
    mime_type: str = ""
    schema: Any = None
    stops: tuple[str, ...] = ()
    max_tokens: int = 0
    """0: no limit."""
    aspect_ratio: str = ""


def read_prompt(request: Json, fingerprint: int) -> Prompt:
    contents = objects(request.get("contents"))
    users = [content for content in contents if content.get("role") != "model"]
    last = users[-1] if users else {}
    system = text_of(_object(request.get("systemInstruction")))
    config = _object(request.get("generationConfig"))
    schema = config.get("responseJsonSchema", config.get("responseSchema"))
    stops = config.get("stopSequences")
    limit = config.get("maxOutputTokens")
    return Prompt(
        model=str(request.get("model", "")),
        text=text_of(last),
        system=system,
        input_tokens=count_tokens(system) + sum(count_tokens(text_of(one)) for one in contents),
        fingerprint=fingerprint,
        functions=_callable_functions(request),
        tool_answers=tuple(_tool_answers(last)),
        mime_type=str(config.get("responseMimeType", "")),
        schema=schema,
        stops=tuple(s for s in stops if isinstance(s, str) and s)
        if isinstance(stops, list)
        else (),
        max_tokens=limit if isinstance(limit, int) and limit > 0 else 0,
        aspect_ratio=str(_object(config.get("imageConfig")).get("aspectRatio", "")),
    )


def count_tokens(text: str) -> int:
    return tokens_of(len(text.encode("utf-8", "replace")))


def tokens_of(size_bytes: int) -> int:
    """An estimate."""
    return math.ceil(size_bytes / BYTES_A_TOKEN)


def objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def text_of(content: Json) -> str:
    return "".join(map(_part_text, objects(content.get("parts"))))


def _part_text(part: Json) -> str:
    if isinstance(text := part.get("text"), str):
        return text
    if media := _object(part.get("inlineData")):
        return (
            f"[{media.get('mimeType', 'data')}, {len(str(media.get('data', ''))) * 3 // 4} bytes]"
        )
    if media := _object(part.get("fileData")):
        return f"[{media.get('mimeType', 'file')}]"
    if answer := _object(part.get("functionResponse")):
        return codec.dumps(answer.get("response")).decode()
    return ""


def _tool_answers(content: Json) -> list[tuple[str, Any]]:
    answers = (_object(part.get("functionResponse")) for part in objects(content.get("parts")))
    return [(str(answer.get("name", "")), answer.get("response")) for answer in answers if answer]


def _callable_functions(request: Json) -> tuple[Function, ...]:
    calling = _object(_object(request.get("toolConfig")).get("functionCallingConfig"))
    allowed = calling.get("allowedFunctionNames")
    if str(calling.get("mode", "")).upper() == "NONE":
        return ()
    return tuple(
        Function(name=name, schema=declared.get("parametersJsonSchema", declared.get("parameters")))
        for tool in objects(request.get("tools"))
        for declared in objects(tool.get("functionDeclarations"))
        if isinstance(name := declared.get("name"), str)
        and (name in allowed if isinstance(allowed, list) and allowed else True)
    )
