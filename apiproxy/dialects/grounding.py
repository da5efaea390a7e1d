"""Grounding metadata of answers that are strung together (reference 3.4)."""

from __future__ import annotations

from typing import Any

from apiproxy.wire.types import Json

_LISTS = ("webSearchQueries", "groundingChunks", "groundingSupports")


def joined(before: Json, after: Json, offset_bytes: int) -> Json:
    """`after` counts from the beginning of its own text, which begins `offset_bytes` after that of `before`."""
    if not before:
        return after
    sources = len(_list(before.get("groundingChunks")))
    supports = [
        _moved(support, offset_bytes, sources) for support in _list(after.get("groundingSupports"))
    ]
    moved = {**after, "groundingSupports": supports} if supports else after
    lists = {
        name: both
        for name in _LISTS
        if (both := [*_list(before.get(name)), *_list(moved.get(name))])
    }
    return {**before, **after, **lists}


def _moved(support: Any, offset_bytes: int, sources: int) -> Any:
    if not isinstance(support, dict):
        return support
    moved = dict(support)
    if isinstance(segment := support.get("segment"), dict):
        ends = {
            name: offset_bytes + (at if isinstance(at := segment.get(name), int) else 0)
            for name in ("startIndex", "endIndex")
        }
        moved["segment"] = {**segment, **ends}
    moved["groundingChunkIndices"] = [
        sources + index
        for index in _list(support.get("groundingChunkIndices"))
        if isinstance(index, int)
    ]
    return moved


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
