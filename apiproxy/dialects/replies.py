"""Several canonical replies of one call -> one, for answers that are not streamed."""

from __future__ import annotations

from apiproxy.wire.types import Json
from apiproxy.wire.usage import candidates, parts

_PLAIN_CANDIDATE_KEYS = 2  # content and index


def index_of(candidate: Json, position: int) -> int:
    """Code Assist leaves the index out; its place counts then."""
    index = candidate.get("index")
    return index if isinstance(index, int) and index >= 0 else position


def only_text(reply: Json) -> str:
    """The text of a reply that says nothing else, as almost every chunk of a stream does; "" for any other."""
    try:
        (candidate,) = reply["candidates"]
        (part,) = candidate["content"]["parts"]
        text = part["text"]
    except (KeyError, TypeError, ValueError):
        return ""
    if (
        len(part) == 1
        and len(candidate) <= _PLAIN_CANDIDATE_KEYS
        and not candidate.get("index")
        and "finishReason" not in candidate
        and type(text) is str
    ):
        return text
    return ""


def merge(replies: list[Json]) -> Json:
    """Parts are strung together by candidate; of every other field the last value seen stays."""
    if len(replies) == 1:
        return replies[0]
    merged: Json = {}
    by_index: dict[int, Json] = {}
    for reply in replies:
        merged.update(reply)
        for position, candidate in enumerate(candidates(reply)):
            index = index_of(candidate, position)
            so_far = parts(by_index.get(index, {}))
            joined = by_index.setdefault(index, {"index": index})
            joined.update(candidate)
            joined["content"] = {"role": "model", "parts": so_far + parts(candidate)}
    if by_index:
        merged["candidates"] = [by_index[index] for index in sorted(by_index)]
    return merged
