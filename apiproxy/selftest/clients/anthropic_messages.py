"""Anthropic's Messages."""

from __future__ import annotations

from typing import Any

from apiproxy.selftest.events import blocks_of, named_events
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

FEATURES = CHAT_FEATURES | {"count"}
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
OWN_ERRORS = {"upstream: overloaded": (529, "overloaded_error")}
LENT_MODEL = "gemini-2.5-flash"
KEEPALIVE = frozenset({b'event: ping\ndata: {"type":"ping"}\n\n'})

_ENOUGH_TOKENS = 4096
_ENDINGS = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
_FUNCTION = {"name": TOOL, "description": TOOL_DESCRIPTION, "input_schema": TOOL_SCHEMA}


def ask(ask: Ask) -> Sent:
    body: Json = {"model": ask.model, "messages": _messages(ask)}
    if ask.system:
        body["system"] = ask.system
    if ask.tool:
        body["tools"] = [_FUNCTION]
    if ask.count:
        return Sent("/v1/messages/count_tokens", body, _HEADERS)
    body["max_tokens"] = ask.max_tokens or _ENOUGH_TOKENS
    if ask.stream:
        body["stream"] = True
    if ask.schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": ask.schema}}
    return Sent("/v1/messages", body, _HEADERS)


_HEADERS = {"anthropic-version": "2023-06-01"}


def _messages(ask: Ask) -> list[Json]:
    messages: list[Json] = [
        {"role": "assistant" if number % 2 else "user", "content": text}
        for number, text in enumerate(ask.earlier)
    ]
    content: Any = ask.text
    if ask.picture:
        data = PICTURE_DATA
        source = {"type": "base64", "media_type": PICTURE_TYPE, "data": data}
        content = [{"type": "text", "text": ask.text}, {"type": "image", "source": source}]
    messages.append({"role": "user", "content": content})
    if ask.answered is not None:
        result = {"type": "tool_result", "tool_use_id": ask.answered.id}
        messages.append(ask.answered.turn)
        messages.append({"role": "user", "content": [{**result, "content": '{"celsius": 21}'}]})
    return messages


def read(answer: Json) -> Said:
    if answer.keys() == {"input_tokens"}:
        return Said(input_tokens=answer["input_tokens"])
    demand(answer["type"] == "message", "this is no message")
    demand(answer["role"] == "assistant", "the message is not the assistant's")
    said = Said(endings=[_ENDINGS.get(answer["stop_reason"], "other")])
    for block in answer["content"]:
        _add(said, block)
    _add_usage(said, answer["usage"])
    return said


def read_stream(data: bytes) -> Said:
    events = [event for event in named_events(blocks_of(data)) if event["type"] != "ping"]
    demand(events and events[0]["type"] == "message_start", "message_start is not the first")
    said = Said()
    if events[-1]["type"] == "error":
        said.failure = error_kind(events.pop(), 0)[1]
    else:
        demand(events.pop()["type"] == "message_stop", "message_stop is not the last")
    opened = -1
    block: Json | None = None
    for event in events[1:]:
        match event["type"]:
            case "content_block_start":
                demand(block is None, "a block begins while another is open")
                opened += 1
                demand(event["index"] == opened, "the blocks are not numbered from 0")
                block = event["content_block"]
            case "content_block_delta":
                demand(block is not None and event["index"] == opened, "a delta has no open block")
                _grow(said, block or {}, event["delta"])
            case "content_block_stop":
                demand(block is not None and event["index"] == opened, "no block is open to stop")
                _add(said, _closed(block or {}))
                block = None
            case "message_delta":
                demand(block is None, "a block is left open")
                said.endings.append(_ENDINGS.get(event["delta"]["stop_reason"], "other"))
                _add_usage(said, event["usage"])
            case kind:
                demand(False, f"there is no event {kind}")
    if said.failure and block is not None and block["type"] == "text":
        # An error leaves its block open.
        said.text += block["text"]
    return said


def _grow(said: Said, block: Json, delta: Json) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
            said.pieces += 1
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            block["partial"] = block.get("partial", "") + delta["partial_json"]
        case kind:
            demand(kind == "citations_delta", f"there is no {kind}")


def _closed(block: Json) -> Json:
    if partial := block.pop("partial", ""):
        block["input"] = codec.loads(partial)
    return block


def _add(said: Said, block: Json) -> None:
    match block["type"]:
        case "text":
            said.text += block["text"]
            said.pictures += block["text"].count("![image](")
        case "thinking":
            demand(block["signature"], "a thinking block has no signature: clients drop it")
            said.thoughts += block["thinking"]
        case "tool_use":
            turn = {"role": "assistant", "content": [block]}
            said.calls.append(Called(block["id"], block["name"], block["input"], turn))
        case kind:
            demand(False, f"there is no block {kind}")


def _add_usage(said: Said, usage: Json) -> None:
    said.input_tokens, said.output_tokens = usage["input_tokens"], usage["output_tokens"]


def error_kind(answer: Json, status: int) -> tuple[str, str]:
    demand(answer["type"] == "error", "the type of the error is not error")
    demand(answer["request_id"], "the error names no request")
    error = answer["error"]
    demand(error.keys() == {"type", "message"}, "the error is not {type, message}")
    return error["type"], f"{error['message']} {answer['request_id']}"
