"""Several canonical replies of one call -> one, for answers that are not streamed."""

from __future__ import annotations

from apiproxy.wire.types import Json
from apiproxy.wire.usage import candidates, parts


def index_of(candidate: Json, position: int) -> int:
    """Code Assist leaves the index out; its place counts then."""
    index = candidate.get("index")
    return index if isinstance(index, int) and index >= 0 else position


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
