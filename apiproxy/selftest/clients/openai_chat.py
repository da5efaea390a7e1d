"""Chat Completions."""

from __future__ import annotations

from typing import Any

from apiproxy.selftest.clients.openai_errors import KINDS, OWN_ERRORS, error_kind
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

_ENDINGS = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}
_FUNCTION = {"name": TOOL, "description": TOOL_DESCRIPTION, "parameters": TOOL_SCHEMA}


def ask(ask: Ask) -> Sent:
    body: Json = {"model": ask.model, "messages": _messages(ask)}
    if ask.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if ask.tool:
        body["tools"] = [{"type": "function", "function": _FUNCTION}]
    if ask.schema is not None:
        wanted = {"name": "trip", "schema": ask.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    if ask.max_tokens:
        body["max_completion_tokens"] = ask.max_tokens
    return Sent("/v1/chat/completions", body)


def _messages(ask: Ask) -> list[Json]:
    messages = [{"role": "system", "content": ask.system}] if ask.system else []
    for number, text in enumerate(ask.earlier):
        messages.append({"role": "assistant" if number % 2 else "user", "content": text})
    content: Any = ask.text
    if ask.picture:
        url = f"data:{PICTURE_TYPE};base64,{PICTURE_DATA}"
        picture = {"type": "image_url", "image_url": {"url": url}}
        content = [{"type": "text", "text": ask.text}, picture]
    messages.append({"role": "user", "content": content})
    if ask.answered is not None:
        messages.append(ask.answered.turn)
        answer = {"role": "tool", "tool_call_id": ask.answered.id, "content": '{"celsius": 21}'}
        messages.append(answer)
    return messages


def read(answer: Json) -> Said:
    demand(answer["object"] == "chat.completion", "this is no chat.completion")
    demand(answer["id"].startswith("chatcmpl-"), "the id does not begin with chatcmpl-")
    [choice] = answer["choices"]
    said = Said(endings=[_ENDINGS.get(choice["finish_reason"], "other")])
    _add(said, choice["message"])
    _add_usage(said, answer["usage"])
    return said


def read_stream(data: bytes) -> Said:
    *blocks, last = blocks_of(data, KEEPALIVE)
    demand(last == "data: [DONE]", f"the stream ends with {last[:60]!r} instead of [DONE]")
    said = Said()
    calls: dict[int, Json] = {}
    for event in data_events(blocks):
        if "error" in event:
            said.failure = error_kind(event, 0)[1]
            continue
        demand(event["object"] == "chat.completion.chunk", "an event is no chunk")
        for choice in event["choices"]:
            _add(said, choice["delta"], calls)
            if choice["finish_reason"] is not None:
                said.endings.append(_ENDINGS.get(choice["finish_reason"], "other"))
        if event.get("usage"):
            _add_usage(said, event["usage"])
    said.calls = [_called(call) for _, call in sorted(calls.items())]
    return said


def _add(said: Said, message: Json, calls: dict[int, Json] | None = None) -> None:
    """A message, or a delta whose calls are gathered in `calls`."""
    text = message.get("content") or ""
    said.pieces += bool(text)
    said.text += text
    said.thoughts += message.get("reasoning_content") or ""
    said.pictures += text.count("![image](") + len(message.get("images") or ())
    for call in message.get("tool_calls") or ():
        if calls is None:
            said.calls.append(_called(call))
        elif call["index"] in calls:
            calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
        else:
            calls[call["index"]] = call


def _called(call: Json) -> Called:
    demand(call["type"] == "function", "a call is no function")
    kept = {key: value for key, value in call.items() if key != "index"}
    return Called(
        id=call["id"],
        name=call["function"]["name"],
        arguments=codec.loads(call["function"]["arguments"]),
        turn={"role": "assistant", "content": None, "tool_calls": [kept]},
    )


def _add_usage(said: Said, usage: Json) -> None:
    said.input_tokens, said.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
    total = said.input_tokens + said.output_tokens
    demand(usage["total_tokens"] == total, "the tokens do not add up")
