"""Canonical replies -> one `message` object, or a count of tokens (reference 5.7)."""

from __future__ import annotations

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
from apiproxy.wire import codec
from apiproxy.wire.types import Action, Call, Json, Usage
from apiproxy.wire.usage import usage_of

_TEXT_FIELD = {Kind.THOUGHT: "thinking", Kind.TEXT: "text"}


def render(call: Call, replies: list[Json]) -> bytes:
    """Raises StreamBroken for an answer that ended in the middle of a tool call."""
    if call.action is Action.COUNT_TOKENS:
        return codec.dumps({"input_tokens": _counted(replies)})
    blocks, answer, usage = Blocks(call), _Answer(call), Usage()
    for reply in replies:
        usage = usage_of(reply) or usage
        for piece in blocks.feed(reply):
            answer.add(piece)
    if (broken := blocks.broken_call()) is not None:
        raise broken
    answer.cite(citations_of(blocks))
    answer.content += search_blocks(blocks, call)
    return codec.dumps(message_object(call, answer.content, ending_of(blocks), usage_object(usage)))


def _counted(replies: list[Json]) -> int:
    counts = [reply.get("totalTokens") for reply in replies]
    return next((count for count in counts if isinstance(count, int)), 0)


class _Answer:
    """The content, piece by piece."""

    def __init__(self, call: Call) -> None:
        self.content: list[Json] = []
        self._call = call
        self._thought: Json | None = None
        """The last thinking block, while the signature of what follows it may still come."""

    def add(self, piece: Piece) -> None:
        if piece.kind is Kind.CALL:
            self._sign(piece.signature)
            self._thought = None
            self.content.append(tool_use(piece.part, self._call))
        elif piece.kind is Kind.MEDIA:
            self._append(Kind.TEXT, media_text(piece.part))
        else:
            self._append(piece.kind, piece.text)
            self._sign(piece.signature)

    def _append(self, kind: Kind, text: str) -> None:
        if not text:
            return
        field = _TEXT_FIELD[kind]
        if not self.content or self.content[-1]["type"] != field:
            self._open(field)
        self.content[-1][field] += text

    def _open(self, field: str) -> None:
        block: Json = {"type": field, field: ""}
        if field == "thinking":
            block["signature"] = carry("", self._call.model.id)
            self._thought = block
        self.content.append(block)

    def _sign(self, signature: str) -> None:
        if signature and self._thought is not None:
            self._thought["signature"] = carry(signature, self._call.model.id)

    def cite(self, citations: list[Json]) -> None:
        texts = [block for block in self.content if block["type"] == "text"]
        if citations and texts:
            texts[-1]["citations"] = citations
