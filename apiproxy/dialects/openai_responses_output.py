"""Canonical replies -> the output items of a Responses answer, the same whether it is streamed or not (reference 5.5)."""

from __future__ import annotations

from apiproxy.dialects import citations, finish
from apiproxy.dialects.blocks import Blocks, Kind, Piece
from apiproxy.dialects.carried import carry
from apiproxy.dialects.content import media_url
from apiproxy.dialects.openai_chat_parts import logprobs
from apiproxy.dialects.openai_responses_items import (
    Emit,
    Message,
    Place,
    Reasoning,
    is_picture,
    picture,
    refusal,
    tool_call,
)
from apiproxy.wire.types import Call, Json
from apiproxy.wire.usage import candidates

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Output:
    """Items are closed one after the other; `incomplete` and `sealed` mean something when `close` was called."""

    def __init__(self, call: Call, emit: Emit, token: str) -> None:
        self.items: list[Json] = []
        self.incomplete = ""
        """Why the answer is not complete, in the dialect's word, or ""."""
        self._call = call
        self._emit = emit
        self._token = token
        self._blocks = Blocks(call)
        self._open: Reasoning | Message | None = None
        self._called: Json | None = None
        """A call that is complete once something follows it, be it the end."""
        self._encrypted: dict[int, str] = {}
        self._late_signature = ""
        """Of the open text, come after its beginning."""
        # Places of citations need the whole text, which is kept only where citations can come.
        self._cites = any("functionDeclarations" not in tool for tool in call.body.get("tools", ()))
        self._said: list[citations.Piece] = []
        self._logprobs = "responseLogprobs" in call.body.get("generationConfig", ())

    def feed(self, reply: Json) -> None:
        pieces = self._blocks.feed(reply)
        self._say_all(reply, pieces)
        if self._blocks.ending:
            self._end_call()

    def _say_all(self, reply: Json, pieces: list[Piece]) -> None:
        if not pieces:
            return
        tokens: list[Json] = []
        if self._logprobs and (found := logprobs(candidates(reply)[0])) is not None:
            tokens = found["content"]
        for piece in pieces:
            self._end_call()
            if piece.kind is Kind.THOUGHT:
                self._think(piece)
            elif piece.kind is Kind.CALL:
                self._before(piece.signature)
                self._called = piece.part
            elif piece.kind is Kind.MEDIA and is_picture(piece.part):
                self._before(piece.signature)
                self.items.append(picture(self._place(), piece.part))
            else:
                self._say(piece, tokens)
                tokens = []

    def close(self) -> None:
        """Raises StreamBroken for an answer that ended in the middle of a tool call."""
        if (broken := self._blocks.broken_call()) is not None:
            raise broken
        self._end_call()
        reason = finish.openai_reason(self._blocks.ending, called=self._blocks.calls > 0)
        if self._blocks.blocked and not self._blocks.ending:
            reason = "content_filter"
        self.incomplete = _INCOMPLETE.get(reason, "")
        late, self._late_signature = self._late_signature, ""
        self._end_open("", "incomplete" if self.incomplete else "completed")
        if self._blocks.blocked and not self.items:
            text = finish.blocked_text(self._blocks.blocked)
            self.items.append(refusal(self._place(), text))
        if late:
            self._alone(late)

    def sealed(self) -> list[Json]:
        """The items with the signatures that the client may not have asked for."""
        return [
            {**item, "encrypted_content": self._encrypted[index]}
            if index in self._encrypted
            else item
            for index, item in enumerate(self.items)
        ]

    def _end_call(self) -> None:
        part, self._called = self._called, None
        if part is not None:
            self.items.append(tool_call(self._place(), part, self._call))

    def _place(self) -> Place:
        return Place(self._emit, self._token, len(self.items))

    def _think(self, piece: Piece) -> None:
        if not isinstance(self._open, Reasoning):
            if not piece.text and not piece.signature:
                return
            self._end_open()
            self._open = Reasoning(self._place())
        self._open.think(piece.text, piece.signature)

    def _say(self, piece: Piece, tokens: list[Json]) -> None:
        text = piece.text or (
            f"[media]({media_url(piece.part)})" if piece.kind is Kind.MEDIA else ""
        )
        if not text:
            self._sign_end(piece.signature)
            return
        message = self._open
        if not isinstance(message, Message):
            self._before(piece.signature)
            message = self._open = Message(
                self._place(), sum(len(said.text) for said in self._said)
            )
        elif piece.signature:
            self._late_signature = piece.signature
        message.say(text, tokens)
        if self._cites:
            self._said.append(citations.Piece(text, "text" in piece.part))

    def _sign_end(self, signature: str) -> None:
        """An empty text is sent for its signature alone."""
        if isinstance(self._open, Reasoning):
            self._open.signature = signature
        else:
            self._late_signature = signature

    def _before(self, signature: str) -> None:
        """What comes next carries `signature`, which the reasoning before it takes along."""
        reasoned = isinstance(self._open, Reasoning)
        self._end_open(signature)
        if signature and not reasoned:
            self._alone(signature)

    def _alone(self, signature: str) -> None:
        """A signature without a thought to show."""
        details = self._call.responses
        if details is not None and details.signatures:
            self._close_reasoning(Reasoning(self._place()), signature)

    def _end_open(self, signature: str = "", status: str = "completed") -> None:
        opened, self._open = self._open, None
        self._late_signature = ""
        if isinstance(opened, Reasoning):
            self._close_reasoning(opened, signature or opened.signature)
        elif opened is not None:
            self.items.append(opened.close(status, self._annotations(opened)))

    def _close_reasoning(self, opened: Reasoning, signature: str) -> None:
        encrypted = carry(signature, self._call.model.id)
        details = self._call.responses
        shown = details is not None and details.encrypted
        self._encrypted[len(self.items)] = encrypted
        self.items.append(opened.close(encrypted if shown else None))

    def _annotations(self, message: Message) -> list[Json]:
        """Those of its own text, counted from its beginning."""
        cited = citations.url_citations(self._blocks.grounding, self._said)
        begins_at = message.begins_at
        return [
            {
                "type": "url_citation",
                **found,
                "start_index": max(found["start_index"] - begins_at, 0),
                "end_index": found["end_index"] - begins_at,
            }
            for annotation in cited
            if (found := annotation["url_citation"])["end_index"] > begins_at
        ]
