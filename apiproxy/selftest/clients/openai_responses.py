"""OpenAI's Responses."""

from __future__ import annotations

import base64
from typing import Any

from apiproxy.selftest.clients.openai_errors import KINDS, OWN_ERRORS, error_kind
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

__all__ = [
    "FEATURES",
    "KEEPALIVE",
    "KINDS",
    "LENT_MODEL",
    "OWN_ERRORS",
    "ask",
    "error_kind",
    "read",
    "read_stream",
]

FEATURES = CHAT_FEATURES
LENT_MODEL = "gemini-2.5-flash"
KEEPALIVE = frozenset({b": keep-alive\n\n"})

_FUNCTION = {
    "type": "function",
    "name": TOOL,
    "description": TOOL_DESCRIPTION,
    "parameters": TOOL_SCHEMA,
    "strict": True,
}
_LAST = ("response.completed", "response.incomplete", "response.failed")


def ask(ask: Ask) -> Sent:
    # Stored answers would outlive the self-test.
    body: Json = {"model": ask.model, "input": _input(ask), "store": False}
    if ask.system:
        body["instructions"] = ask.system
    if ask.stream:
        body["stream"] = True
    if ask.tool:
        body["tools"] = [_FUNCTION]
    if ask.schema is not None:
        wanted = {"type": "json_schema", "name": "trip", "schema": ask.schema, "strict": True}
        body["text"] = {"format": wanted}
    if ask.max_tokens:
        body["max_output_tokens"] = ask.max_tokens
    return Sent("/v1/responses", body)


def _input(ask: Ask) -> Any:
    if not (ask.earlier or ask.picture or ask.answered):
        return ask.text
    items: list[Json] = [
        {"role": "assistant" if number % 2 else "user", "content": text}
        for number, text in enumerate(ask.earlier)
    ]
    content: Any = ask.text
    if ask.picture:
        url = f"data:{PICTURE_TYPE};base64,{PICTURE_DATA}"
        picture = {"type": "input_image", "image_url": url, "detail": "auto"}
        content = [{"type": "input_text", "text": ask.text}, picture]
    items.append({"role": "user", "content": content})
    if ask.answered is not None:
        items.append(ask.answered.turn)
        output = {"type": "function_call_output", "call_id": ask.answered.id}
        items.append({**output, "output": '{"celsius": 21}'})
    return items


def read(answer: Json) -> Said:
    demand(answer["object"] == "response", "this is no response")
    demand(answer["id"].startswith("resp_"), "the id does not begin with resp_")
    said = Said()
    for item in answer["output"]:
        _add(said, item)
    said.endings.append(_ending(answer, said))
    usage = answer["usage"]
    said.input_tokens, said.output_tokens = usage["input_tokens"], usage["output_tokens"]
    total = said.input_tokens + said.output_tokens
    demand(usage["total_tokens"] == total, "the tokens do not add up")
    return said


def _ending(answer: Json, said: Said) -> str:
    if answer["status"] == "incomplete":
        reason = answer["incomplete_details"]["reason"]
        return "length" if reason == "max_output_tokens" else "other"
    demand(answer["status"] == "completed", f"the status is {answer['status']}")
    return "tool_calls" if said.calls else "stop"


def _add(said: Said, item: Json) -> None:
    match item["type"]:
        case "message":
            for part in item["content"]:
                said.text += part["text"]
                said.pictures += part["text"].count("![image](")
        case "reasoning":
            said.thoughts += "".join(part["text"] for part in item["summary"])
        case "function_call":
            arguments = codec.loads(item["arguments"])
            said.calls.append(Called(item["call_id"], item["name"], arguments, item))
        case "image_generation_call":
            said.pictures += bool(base64.b64decode(item["result"], validate=True))
        case kind:
            demand(False, f"there is no output item {kind}")


def read_stream(data: bytes) -> Said:
    events = named_events(blocks_of(data, KEEPALIVE))
    numbers = [event["sequence_number"] for event in events]
    demand(numbers == list(range(len(events))), "the sequence numbers do not count from 0")
    first = [event["type"] for event in events[:2]]
    demand(first == ["response.created", "response.in_progress"], f"the stream begins {first}")
    last = events[-1]
    demand(last["type"] in _LAST, f"the stream ends with {last['type']}")
    demand(not any(event["type"] in _LAST for event in events[:-1]), "the stream ends twice")
    told = _items_of(events[2:-1])
    if last["type"] == "response.failed":
        failed = last["response"]
        demand(failed["status"] == "failed", "a failed response has another status")
        return Said(text=told.text, pieces=told.pieces, failure=failed["error"]["message"])
    said = read(last["response"])
    demand(said.text == told.text, "the deltas do not add up to the text")
    demand(len(said.calls) == len(told.calls), "the items do not add up to the calls")
    said.pieces = told.pieces
    return said


def _items_of(events: list[Json]) -> Said:
    """What the events told, item by item: one is open at a time."""
    said = Said()
    opened = -1
    closed = True
    for event in events:
        match event["type"]:
            case "response.output_item.added":
                demand(closed, "an item begins while another is open")
                opened, closed = opened + 1, False
                demand(event["output_index"] == opened, "the items are not numbered from 0")
            case "response.output_item.done":
                demand(not closed and event["output_index"] == opened, "no item is open to end")
                closed = True
                if event["item"]["type"] == "function_call":
                    _add(said, event["item"])
            case kind:
                demand(not closed, f"{kind} stands outside an item")
                if kind == "response.output_text.delta":
                    said.text += event["delta"]
                    said.pieces += 1
    return said
