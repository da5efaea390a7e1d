"""Gemini's native surface."""

from __future__ import annotations

from apiproxy.selftest.events import blocks_of, data_events
from apiproxy.selftest.talk import (
    CHAT_FEATURES,
    PICTURE_DATA,
    PICTURE_TYPE,
    TOOL,
    TOOL_DESCRIPTION,
    TOOL_SCHEMA,
    Ask,
    Called,
    Json,
    Said,
    Sent,
    demand,
)
from apiproxy.wire import codec

FEATURES = CHAT_FEATURES | {"count", "vectors"}
KINDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
OWN_ERRORS: dict[str, tuple[int, str]] = {}
LENT_MODEL = "gemini-2.5-flash"
# An empty event is the one filler that no SDK fails on.
KEEPALIVE = frozenset({b"\n\n"})

_FUNCTION = {"name": TOOL, "description": TOOL_DESCRIPTION, "parametersJsonSchema": TOOL_SCHEMA}


def ask(ask: Ask) -> Sent:
    if ask.embed:
        content = {"parts": [{"text": ask.text}]}
        return Sent(f"/v1beta/models/{ask.model}:embedContent", {"content": content})
    method = "countTokens" if ask.count else "generateContent"
    if ask.stream:
        method = "streamGenerateContent"
    body: Json = {"contents": _contents(ask)}
    if ask.system:
        body["systemInstruction"] = {"parts": [{"text": ask.system}]}
    if ask.tool:
        body["tools"] = [{"functionDeclarations": [_FUNCTION]}]
    config: Json = {}
    if ask.schema is not None:
        config |= {"responseMimeType": "application/json", "responseJsonSchema": ask.schema}
    if ask.max_tokens:
        config["maxOutputTokens"] = ask.max_tokens
    if config:
        body["generationConfig"] = config
    path = f"/v1beta/models/{ask.model}:{method}"
    return Sent(path, body, query="alt=sse" if ask.stream else "")


def _contents(ask: Ask) -> list[Json]:
    contents: list[Json] = [
        {"role": "model" if number % 2 else "user", "parts": [{"text": text}]}
        for number, text in enumerate(ask.earlier)
    ]
    parts: list[Json] = [{"text": ask.text}]
    if ask.picture:
        data = PICTURE_DATA
        parts.append({"inlineData": {"mimeType": PICTURE_TYPE, "data": data}})
    contents.append({"role": "user", "parts": parts})
    if ask.answered is not None:
        answer = {"id": ask.answered.id, "name": TOOL, "response": {"celsius": 21}}
        contents.append(ask.answered.turn)
        contents.append({"role": "user", "parts": [{"functionResponse": answer}]})
    return contents


def read(answer: Json) -> Said:
    said = Said()
    if "totalTokens" in answer:
        said.input_tokens = answer["totalTokens"]
    elif "embedding" in answer:
        said.vectors = [answer["embedding"]["values"]]
    else:
        _add(said, answer)
    return said


def read_stream(data: bytes) -> Said:
    said = Said()
    blocks = blocks_of(data, KEEPALIVE)
    if blocks and blocks[-1].startswith('{"error":'):
        # An error stands bare, as the SDKs want it.
        said.failure = error_kind(codec.loads(blocks.pop()), 0)[1]
    for event in data_events(blocks):
        _add(said, event)
    return said


def _add(said: Said, reply: Json) -> None:
    for candidate in reply.get("candidates", ()):
        demand(candidate["index"] == 0, "a candidate has no index")
        for part in candidate.get("content", {}).get("parts", ()):
            _add_part(said, part)
        if reason := candidate.get("finishReason"):
            ending = {"STOP": "stop", "MAX_TOKENS": "length"}.get(reason, "other")
            # Gemini's own word for an answer that calls is the same as for one that is told.
            said.endings.append("tool_calls" if ending == "stop" and said.calls else ending)
    if usage := reply.get("usageMetadata"):
        said.input_tokens = usage["promptTokenCount"]
        said.output_tokens = usage["candidatesTokenCount"]
        total = said.input_tokens + said.output_tokens + usage.get("thoughtsTokenCount", 0)
        demand(usage["totalTokenCount"] == total, "the tokens do not add up")


def _add_part(said: Said, part: Json) -> None:
    if (call := part.get("functionCall")) is not None:
        turn = {"role": "model", "parts": [part]}
        said.calls.append(Called(call["id"], call["name"], call.get("args", {}), turn))
    elif "inlineData" in part:
        said.pictures += part["inlineData"]["mimeType"] == PICTURE_TYPE
    elif part.get("thought"):
        said.thoughts += part["text"]
    elif text := part.get("text"):
        said.text += text
        said.pieces += 1


def error_kind(answer: Json, status: int) -> tuple[str, str]:
    demand(answer.keys() == {"error"}, "the error has other keys than error")
    error = answer["error"]
    demand(not status or error["code"] == status, "the error's code is not the HTTP status")
    return error["status"], error["message"]
