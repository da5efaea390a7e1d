"""Canonical replies -> the events of a Messages stream (reference 4.4, 5.7).

One block is open at a time. Text, which almost every event is about, is the only thing encoded for it.
"""

from __future__ import annotations

from apiproxy.dialects.anthropic_errors import error_object
from apiproxy.dialects.anthropic_parts import (
    citations_of,
    ending_of,
    media_text,
    message_object,
    search_blocks,
    tool_use,
    usage_object,
)
from apiproxy.dialects.blocks import Blocks, Kind, Piece
from apiproxy.dialects.carried import carry
from apiproxy.dialects.replies import only_text
from apiproxy.wire import codec
from apiproxy.wire.types import Call, Json, Usage
from apiproxy.wire.usage import usage_of
from gateway.lib.errors import GatewayError

_EMPTY_BLOCK = {
    Kind.THOUGHT: {"type": "thinking", "thinking": "", "signature": ""},
    Kind.TEXT: {"type": "text", "text": ""},
}
_DELTA = {
    Kind.THOUGHT: b'{"type":"thinking_delta","thinking":',
    Kind.TEXT: b'{"type":"text_delta","text":',
}
_DELTA_END = b"}}\n\n"
_NO_ENDING: Json = {"stop_reason": None, "stop_sequence": None}


class MessageStream:
    keepalive = b'event: ping\ndata: {"type":"ping"}\n\n'

    def __init__(self, call: Call) -> None:
        self._call = call
        self._blocks = Blocks(call)
        self._begun = False
        self._open: Kind | None = None
        self._index = -1
        self._delta_start = b""
        self._signature = ""
        """Of the thought that is open."""

    def feed(self, reply: Json) -> bytes:
        if self._open is Kind.TEXT and (text := only_text(reply)):
            return self._delta_start + codec.dumps(text) + _DELTA_END
        out: list[bytes] = []
        if not self._begun:
            self._begin(usage_of(reply) or Usage(), out)
        for piece in self._blocks.feed(reply):
            self._say(piece, out)
        return b"".join(out)

    def _begin(self, usage: Usage, out: list[bytes]) -> None:
        """The upstream may give the prompt's tokens only later; `close` says them again."""
        self._begun = True
        counts = usage_object(usage) | {"output_tokens": 0}
        del counts["output_tokens_details"]
        message = message_object(self._call, [], _NO_ENDING, counts)
        out.append(_event("message_start", {"message": message}))

    def _say(self, piece: Piece, out: list[bytes]) -> None:
        if self._open is Kind.THOUGHT:
            # What follows a thought is what its signature is for.
            self._signature = piece.signature or self._signature
        if piece.kind is Kind.CALL:
            self._say_tool(tool_use(piece.part, self._call), out)
        elif piece.kind is Kind.MEDIA:
            self._say_text(Kind.TEXT, media_text(piece.part), out)
        elif piece.text:
            self._say_text(piece.kind, piece.text, out)
            if piece.kind is Kind.THOUGHT:
                self._signature = piece.signature or self._signature

    def _say_text(self, kind: Kind, text: str, out: list[bytes]) -> None:
        if self._open is not kind:
            self._start(kind, _EMPTY_BLOCK[kind], out)
            self._delta_start = (
                b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
                % self._index
            ) + _DELTA[kind]
        out.append(self._delta_start + codec.dumps(text) + _DELTA_END)

    def _say_tool(self, block: Json, out: list[bytes]) -> None:
        """It stays open until something follows it: what ends before that is no complete call."""
        if "input" not in block:
            self._start(Kind.CALL, block, out)
            return
        self._start(Kind.CALL, {**block, "input": {}}, out)
        text = codec.dumps(block["input"]).decode()
        out.append(self._delta({"type": "input_json_delta", "partial_json": text}))

    def _start(self, kind: Kind, block: Json, out: list[bytes]) -> None:
        self._stop(out)
        self._open = kind
        self._index += 1
        out.append(_event("content_block_start", {"index": self._index, "content_block": block}))

    def _stop(self, out: list[bytes]) -> None:
        if self._open is None:
            return
        if self._open is Kind.THOUGHT:
            signature = carry(self._signature, self._call.model.id)
            out.append(self._delta({"type": "signature_delta", "signature": signature}))
            self._signature = ""
        self._open = None
        out.append(_event("content_block_stop", {"index": self._index}))

    def close(self, usage: Usage) -> bytes:
        out: list[bytes] = []
        if not self._begun:
            self._begin(usage, out)
        if (broken := self._blocks.broken_call()) is not None:
            return b"".join(out) + self.error(broken)
        if self._open is Kind.TEXT:
            out += [
                self._delta({"type": "citations_delta", "citation": citation})
                for citation in citations_of(self._blocks)
            ]
        for block in search_blocks(self._blocks, self._call):
            self._say_tool(block, out)
        self._stop(out)
        ending = {"delta": ending_of(self._blocks), "usage": usage_object(usage)}
        out += [_event("message_delta", ending), _event("message_stop", {})]
        return b"".join(out)

    def error(self, error: GatewayError) -> bytes:
        return _framed("error", error_object(error, self._call.head.request_id))

    def _delta(self, delta: Json) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})


def _event(kind: str, data: Json) -> bytes:
    return _framed(kind, {"type": kind, **data})


def _framed(kind: str, data: Json) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + codec.dumps(data) + b"\n\n"
