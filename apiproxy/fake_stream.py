"""A whole answer -> the replies a stream would have brought: parts in their order, long text in pieces. Pure.

Nothing is lost and nothing is made up: what a candidate says beside its parts comes with its last piece, what the
answer says beside its candidates with the last of all (reference 6.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from unicodedata import category, combining

from apiproxy.dialects.replies import index_of
from apiproxy.wire.types import Json
from apiproxy.wire.usage import candidates, parts

_PIECE_CHARACTERS = 50
# A long text comes in larger pieces instead of thousands of events.
_MOST_PIECES = 400

# Google repeats these in every chunk. Whoever leaves in the middle has had the whole answer made.
_ENVELOPE = ("modelVersion", "responseId", "usageMetadata")

_JOINER = "\u200d"
_VIRAMA = 9
_JOINING = ("Mn", "Mc", "Me", "Cf")
_SKIN_TONES = ("\U0001f3fb", "\U0001f3ff")
_FLAG_LETTERS = ("\U0001f1e6", "\U0001f1ff")
_JAMO = ("\u1160", "\u11ff")


def cut(reply: Json) -> list[Json]:
    """At least one reply; the answer itself where it has no candidate."""
    pieces = [
        {"candidates": [piece]}
        for position, candidate in enumerate(candidates(reply))
        for piece in _candidate_pieces(candidate, index_of(candidate, position))
    ]
    if not pieces:
        return [reply]
    envelope = {name: reply[name] for name in _ENVELOPE if name in reply}
    rest = {name: value for name, value in reply.items() if name != "candidates"}
    return [*({**piece, **envelope} for piece in pieces[:-1]), {**pieces[-1], **rest}]


def _candidate_pieces(candidate: Json, index: int) -> Iterator[Json]:
    cuts = [piece for part in parts(candidate) for piece in _part_pieces(part)]
    for piece in cuts[:-1]:
        yield {"content": {"role": "model", "parts": [piece]}, "index": index}
    last = {**candidate, "index": index}
    if cuts:
        last["content"] = {"role": "model", "parts": cuts[-1:]}
    yield last


def _part_pieces(part: Json) -> list[Json]:
    """Only text is cut. A signature stays with the end of it, where streams have it."""
    text = part.get("text")
    if not isinstance(text, str) or len(text) <= _PIECE_CHARACTERS:
        return [part]
    mark = {"thought": part["thought"]} if "thought" in part else {}
    *before, last = text_pieces(text)
    return [*({"text": piece, **mark} for piece in before), {**part, "text": last}]


def text_pieces(text: str) -> list[str]:
    """No character that a reader sees as one is cut."""
    size = max(_PIECE_CHARACTERS, len(text) // _MOST_PIECES)
    pieces: list[str] = []
    start = 0
    while len(text) - start > size:
        end = start + size
        while end < len(text) and _belong_together(text, end):
            end += 1
        pieces.append(text[start:end])
        start = end
    return [*pieces, text[start:]] if start < len(text) else pieces


def _belong_together(text: str, position: int) -> bool:
    """Whether the characters on both sides make up one that is seen: the common rules of Unicode's annex 29."""
    before, after = text[position - 1], text[position]
    if before.isascii() and after.isascii():
        return before == "\r" and after == "\n"
    if before == _JOINER or combining(before) == _VIRAMA or category(after) in _JOINING:
        return True
    if _within(after, _SKIN_TONES) or _within(after, _JAMO):
        return True
    return (
        _within(before, _FLAG_LETTERS)
        and _within(after, _FLAG_LETTERS)
        and (_flag_letters_before(text, position) % 2 == 1)
    )


def _within(character: str, bounds: tuple[str, str]) -> bool:
    return bounds[0] <= character <= bounds[1]


def _flag_letters_before(text: str, position: int) -> int:
    """Two of them are one flag."""
    start = position
    while start > 0 and _within(text[start - 1], _FLAG_LETTERS):
        start -= 1
    return position - start
