"""Canonical replies -> the blocks an answer is made of, one open at a time: how Anthropic and OpenAI Responses cut it.

A block begins where the kind of content changes; each call, picture and sound is a block of its own. Only the first
candidate counts: neither dialect has a second.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from apiproxy.dialects import finish
from apiproxy.dialects.content import is_call, shown_text
from apiproxy.wire.types import Call, Json
from apiproxy.wire.usage import blocked, candidates, parts
from gateway.lib.errors import StreamBroken


class Kind(StrEnum):
    THOUGHT = "thought"
    TEXT = "text"
    CALL = "call"
    MEDIA = "media"


class Piece(Struct):
    """One stretch of content. `opens`: it begins a block; whatever was open before it has ended.

    `text`: of THOUGHT and TEXT, may be "". `part`: the canonical part it came from, {} for what says that a call
    failed. `signature`: the thought signature the part carried, "" for none; an empty text with a signature comes
    through as a Piece of TEXT.
    """

    kind: Kind
    opens: bool
    text: str = ""
    part: Json = {}
    signature: str = ""


class Blocks:
    def __init__(self, call: Call) -> None:
        self._single_tool_call = call.single_tool_call
        self._open: Kind | None = None
        self.calls = 0
        self.ending = ""
        """The finish reason, "" while the answer goes on."""
        self.blocked = ""
        """Why the prompt was blocked, or ""."""
        self.grounding: object = None

    def feed(self, reply: Json) -> list[Piece]:
        self.blocked = blocked(reply) or self.blocked
        found = candidates(reply)
        if not found:
            return []
        candidate = found[0]
        pieces = [piece for part in parts(candidate) if (piece := self._piece(part)) is not None]
        if text := finish.failure_text(candidate):
            pieces.append(self._stretch(Kind.TEXT, text, {}, ""))
        self.ending = finish.reason_of(candidate) or self.ending
        self.grounding = candidate.get("groundingMetadata") or self.grounding
        return pieces

    def broken_call(self) -> StreamBroken | None:
        return finish.broken_call(called=self.calls > 0, ending=self.ending, blocked=self.blocked)

    def _piece(self, part: Json) -> Piece | None:
        signature = part.get("thoughtSignature")
        signature = signature if isinstance(signature, str) else ""
        if is_call(part):
            if self._single_tool_call and self.calls:
                return None
            self.calls += 1
            return self._alone(Kind.CALL, part, signature)
        if part.get("thought"):
            text = part.get("text")
            if not isinstance(text, str):
                return None
            return self._stretch(Kind.THOUGHT, text, part, signature)
        if isinstance(part.get("inlineData"), dict) or isinstance(part.get("fileData"), dict):
            return self._alone(Kind.MEDIA, part, signature)
        text = shown_text(part)
        return self._stretch(Kind.TEXT, text, part, signature) if text or signature else None

    def _stretch(self, kind: Kind, text: str, part: Json, signature: str) -> Piece:
        opens, self._open = self._open is not kind, kind
        return Piece(kind, opens, text, part, signature)

    def _alone(self, kind: Kind, part: Json, signature: str) -> Piece:
        self._open = None
        return Piece(kind, opens=True, part=part, signature=signature)
