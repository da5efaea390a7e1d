"""Grounding metadata -> `url_citation` annotations (reference 3.4, 5.2).

Google counts UTF-8 bytes of the model's text, clients count characters of the content they were given, which may hold
more than that text (pictures, code blocks).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from apiproxy.wire.types import Json


class Piece(NamedTuple):
    """A stretch of the content. `part`: which part of the reply it came from, -1 where that is not known."""

    text: str
    from_model: bool
    part: int = -1


def url_citations(metadata: Any, pieces: list[Piece]) -> list[Json]:
    if not isinstance(metadata, dict):
        return []
    sources = [_source(chunk) for chunk in _list(metadata.get("groundingChunks"))]
    text = _Text(pieces)
    found: list[Json] = []
    for support in _list(metadata.get("groundingSupports")):
        if not isinstance(support, dict) or not isinstance(support.get("segment"), dict):
            continue
        start, end = text.span(support["segment"])
        found.extend(_annotation(source, start, end) for source in _supporting(support, sources))
    if not found:
        # Sources without places: the whole answer rests on them.
        found = [_annotation(source, 0, text.length) for source in sources if source]
    return found


def web_sources(metadata: Any) -> tuple[str, list[Json]]:
    """(what was searched for, [{"url", "title"}])."""
    if not isinstance(metadata, dict):
        return "", []
    queries = _list(metadata.get("webSearchQueries"))
    query = queries[0] if queries and isinstance(queries[0], str) else ""
    return query, [
        source for chunk in _list(metadata.get("groundingChunks")) if (source := _source(chunk))
    ]


def web_citations(metadata: Any) -> list[Json]:
    """[{"url", "title", "text"}], in order; `text` is what the source stands for, "" where that is not told."""
    if not isinstance(metadata, dict):
        return []
    sources = [_source(chunk) for chunk in _list(metadata.get("groundingChunks"))]
    found: list[Json] = []
    for support in _list(metadata.get("groundingSupports")):
        segment = support.get("segment") if isinstance(support, dict) else None
        text = segment.get("text") if isinstance(segment, dict) else None
        if isinstance(text, str):
            found.extend({**source, "text": text} for source in _supporting(support, sources))
    return found or [{**source, "text": ""} for source in sources if source]


def _supporting(support: Json, sources: list[Json]) -> list[Json]:
    return [
        sources[index]
        for index in _list(support.get("groundingChunkIndices"))
        if isinstance(index, int) and 0 <= index < len(sources) and sources[index]
    ]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _source(chunk: Any) -> Json:
    """{"url", "title"}, or {} where the chunk is not of the web."""
    web = chunk.get("web") if isinstance(chunk, dict) else None
    uri = web.get("uri") if isinstance(web, dict) else None
    if not isinstance(uri, str) or not isinstance(web, dict):
        return {}
    title = web.get("title")
    return {"url": uri, "title": title if isinstance(title, str) else uri}


def _annotation(source: Json, start: int, end: int) -> Json:
    citation = {**source, "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": citation}


class _Text:
    def __init__(self, pieces: list[Piece]) -> None:
        self._runs: list[tuple[int, int, bytes]] = []
        """(first byte in the model's text, first character in the content, the bytes)."""
        self._first_byte_of_part: dict[int, int] = {}
        first_byte = self.length = 0
        for piece in pieces:
            if piece.from_model:
                data = piece.text.encode("utf-8", "replace")
                self._runs.append((first_byte, self.length, data))
                self._first_byte_of_part.setdefault(piece.part, first_byte)
                first_byte += len(data)
            self.length += len(piece.text)

    def span(self, segment: Json) -> tuple[int, int]:
        part = segment.get("partIndex")
        base = self._first_byte_of_part.get(part, 0) if isinstance(part, int) else 0
        start = self._character(base + _offset(segment, "startIndex"))
        return start, max(start, self._character(base + _offset(segment, "endIndex")))

    def _character(self, byte: int) -> int:
        for first_byte, first_character, data in self._runs:
            if byte <= first_byte + len(data):
                return first_character + len(data[: byte - first_byte].decode("utf-8", "ignore"))
        return self.length


def _offset(segment: Json, key: str) -> int:
    """Left out means zero."""
    value = segment.get(key)
    return value if isinstance(value, int) and value > 0 else 0
