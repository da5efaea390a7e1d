"""Canonical replies -> one `chat.completion` object (reference 5.2)."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import citations, finish, speech
from apiproxy.dialects.openai_chat_parts import (
    completion_id,
    delta_of,
    is_call,
    logprobs,
    tool_call,
    usage_object,
)
from apiproxy.dialects.replies import index_of, merge
from apiproxy.wire import codec
from apiproxy.wire.types import Call, Json, Usage
from apiproxy.wire.usage import blocked, candidates, parts, usage_of


def render(call: Call, replies: list[Json]) -> bytes:
    """Raises StreamBroken for an answer that ended in the middle of a tool call."""
    reply = merge(replies)
    numbered = len(replies) == 1
    choices = [
        _choice(call, candidate, index_of(candidate, position), numbered)
        for position, candidate in enumerate(candidates(reply))
    ]
    completion = {
        "id": completion_id(call),
        "object": "chat.completion",
        "created": int(call.head.received_at),
        "model": call.requested_model,
        "choices": choices or [_empty_choice(reply)],
        "usage": usage_object(usage_of(reply) or Usage()),
    }
    return codec.dumps(completion)


def _choice(call: Call, candidate: Json, index: int, numbered: bool) -> Json:
    answer = _Answer(call)
    for number, part in enumerate(parts(candidate)):
        answer.add(part, number if numbered else -1)
    answer.add({"text": finish.failure_text(candidate)}, -1)
    ending = finish.reason_of(candidate)
    broken = finish.broken_call(called=bool(answer.calls), ending=ending, blocked="")
    if broken is not None:
        raise broken
    reason = finish.openai_reason(ending, called=bool(answer.calls))
    return {
        "index": index,
        "message": answer.message(candidate.get("groundingMetadata")),
        "logprobs": logprobs(candidate),
        "finish_reason": reason,
    }


def _empty_choice(reply: Json) -> Json:
    """Clients read `choices[0]` without looking, so there is always one."""
    reason = blocked(reply)
    return {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": "",
            "refusal": finish.blocked_text(reason) if reason else None,
        },
        "logprobs": None,
        "finish_reason": "content_filter" if reason else finish.openai_reason("", called=False),
    }


class _Answer:
    """The message of one choice, part by part."""

    def __init__(self, call: Call) -> None:
        self.calls: list[Json] = []
        self._call = call
        self._pieces: list[citations.Piece] = []
        self._reasoning: list[str] = []
        self._images: list[Json] = []
        self._audio: Json = {}
        self._sounds: list[Json] = []

    def add(self, part: Json, number: int) -> None:
        if is_call(part):
            if not (self._call.single_tool_call and self.calls):
                self.calls.append(tool_call(part, self._call))
            return
        delta = delta_of(part, self._call)
        if (text := delta.get("content")) is not None:
            self._pieces.append(citations.Piece(text, "text" in part, number))
        elif (thought := delta.get("reasoning_content")) is not None:
            self._reasoning.append(thought)
        self._images += delta.get("images", [])
        if (audio := delta.get("audio")) is not None:
            self._audio = self._audio or audio
            self._sounds.append(part["inlineData"])

    def message(self, grounding: Any) -> Json:
        content = "".join(piece.text for piece in self._pieces)
        nothing = None if self.calls or self._audio else ""
        message: Json = {"role": "assistant", "content": content or nothing, "refusal": None}
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        if self.calls:
            message["tool_calls"] = self.calls
        if self._images:
            message["images"] = self._images
        if self._audio:
            data = speech.data_of(self._sounds, self._call.sound_format)
            message["audio"] = {**self._audio, "data": data}
        if cited := citations.url_citations(grounding, self._pieces):
            message["annotations"] = cited
        return message
