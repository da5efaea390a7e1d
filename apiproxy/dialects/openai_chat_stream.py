"""Canonical replies -> `chat.completion.chunk` events (reference 4.4, 5.2 "stream rules").

`feed` runs for every chunk of every stream. Almost all of them hold one piece of text and nothing else, so the bytes
around that text are made once a stream and the text is the only thing encoded.
"""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import citations, finish
from apiproxy.dialects.openai_chat_parts import (
    completion_id,
    delta_of,
    is_call,
    logprobs,
    tool_call,
    usage_object,
)
from apiproxy.dialects.openai_errors import error_object
from apiproxy.dialects.replies import index_of, only_text
from apiproxy.wire import codec
from apiproxy.wire.types import Call, Json, Usage
from apiproxy.wire.usage import blocked, candidates, parts
from gateway.lib.errors import GatewayError

DONE = b"data: [DONE]\n\n"


class _Choice:
    __slots__ = ("calls", "ending", "grounding", "index", "pieces")

    def __init__(self, index: int) -> None:
        self.index = index
        self.calls = 0
        self.ending = ""
        self.grounding: Any = None
        self.pieces: list[citations.Piece] = []


class ChatStream:
    keepalive = b": keep-alive\n\n"

    def __init__(self, call: Call) -> None:
        self._call = call
        self._choices: dict[int, _Choice] = {}
        self._blocked = ""
        # Offsets of citations need the whole text, which is kept only where citations can come.
        self._cites = any("functionDeclarations" not in tool for tool in call.body.get("tools", ()))
        usage = b',"usage":null' if call.include_usage else b""
        head = codec.dumps(
            {
                "id": completion_id(call),
                "object": "chat.completion.chunk",
                "created": int(call.head.received_at),
                "model": call.requested_model,
            }
        )
        self._head = b"data: " + head[:-1]
        self._chunk_end = b"}]" + usage + b"}\n\n"
        self._text_start = self._head + b',"choices":[{"index":0,"delta":{"content":'
        self._text_end = b'},"logprobs":null,"finish_reason":null' + self._chunk_end
        self._only_text = False
        """Choice 0 has begun and nothing forbids the short way."""

    def feed(self, reply: Json) -> bytes:
        if self._only_text and (text := only_text(reply)):
            return self._text_start + codec.dumps(text) + self._text_end
        return self._feed_any(reply)

    def _feed_any(self, reply: Json) -> bytes:
        self._blocked = blocked(reply) or self._blocked
        out: list[bytes] = []
        for position, candidate in enumerate(candidates(reply)):
            choice = self._choice(index_of(candidate, position), out)
            self._feed_candidate(choice, candidate, out)
        return b"".join(out)

    def _choice(self, index: int, out: list[bytes]) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
            out.append(self._chunk(index, {"role": "assistant", "content": ""}))
            self._only_text = 0 in self._choices and not self._cites
        return choice

    def _feed_candidate(self, choice: _Choice, candidate: Json, out: list[bytes]) -> None:
        tokens = logprobs(candidate)
        for part in parts(candidate):
            delta = self._delta(choice, part)
            if delta:
                out.append(self._chunk(choice.index, delta, tokens=tokens))
                tokens = None
        if text := finish.failure_text(candidate):
            out.append(self._chunk(choice.index, {"content": text}))
        choice.ending = finish.reason_of(candidate) or choice.ending
        if self._cites:
            choice.grounding = candidate.get("groundingMetadata") or choice.grounding

    def _delta(self, choice: _Choice, part: Json) -> Json:
        if is_call(part):
            if self._call.single_tool_call and choice.calls:
                return {}
            choice.calls += 1
            return {"tool_calls": [{"index": choice.calls - 1, **tool_call(part, self._call)}]}
        delta = delta_of(part, self._call)
        if self._cites and (text := delta.get("content")) is not None:
            choice.pieces.append(citations.Piece(text, "text" in part))
        return delta

    def close(self, usage: Usage) -> bytes:
        out: list[bytes] = []
        if not self._choices:
            self._open_unanswered(out)
        for choice in self._choices.values():
            broken = finish.broken_call(
                called=choice.calls > 0, ending=choice.ending, blocked=self._blocked
            )
            if broken is not None:
                return self.error(broken)
        out += [self._closing_chunk(choice) for _, choice in sorted(self._choices.items())]
        if self._call.include_usage:
            out.append(self._usage_chunk(usage))
        out.append(DONE)
        return b"".join(out)

    def _open_unanswered(self, out: list[bytes]) -> None:
        self._choice(0, out)
        if self._blocked:
            out.append(self._chunk(0, {"refusal": finish.blocked_text(self._blocked)}))

    def _closing_chunk(self, choice: _Choice) -> bytes:
        reason = finish.openai_reason(choice.ending, called=choice.calls > 0)
        if self._blocked and not choice.ending:
            reason = "content_filter"
        cited = citations.url_citations(choice.grounding, choice.pieces)
        return self._chunk(choice.index, {"annotations": cited} if cited else {}, reason=reason)

    def error(self, error: GatewayError) -> bytes:
        shown = error_object(error, self._call.head.request_id)
        return b"data: " + codec.dumps(shown) + b"\n\n" + DONE

    def _chunk(
        self, index: int, delta: Json, *, tokens: Json | None = None, reason: str | None = None
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": tokens, "finish_reason": reason}
        # The choice's own closing brace is the first byte of the common ending.
        return self._head + b',"choices":[' + codec.dumps(choice)[:-1] + self._chunk_end

    def _usage_chunk(self, usage: Usage) -> bytes:
        counts = codec.dumps(usage_object(usage))
        return self._head + b',"choices":[],"usage":' + counts + b"}\n\n"
