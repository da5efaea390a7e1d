"""JSON in and out. The only file that names the JSON library."""

from __future__ import annotations

import json
from typing import Any

import orjson

Json = dict[str, Any]

DecodeError = orjson.JSONDecodeError

# Clients that split lines as Unicode does cut a JSON text in two at these three characters, which JSON allows raw
# inside strings (reference 4.4 and 4.5). Written as escapes they mean the same and harm nobody.
_RAW_LINE_ENDS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)


def loads(data: bytes | bytearray | memoryview | str) -> Any:
    """Raises DecodeError (a ValueError) for anything that is not strict JSON, lone surrogates included."""
    return orjson.loads(data)


def loads_lenient(data: bytes) -> Any:
    """As `loads`, but broken UTF-8 becomes U+FFFD and a lone surrogate "?": an upstream's text is never refused."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        value = json.loads(data.decode("utf-8", "replace"))
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def encode(value: Any) -> bytes:
    """UTF-8 JSON, for a body of its own."""
    try:
        data: bytes = orjson.dumps(value)
    except TypeError:
        # Integers over 64 bits and lone surrogates: rare enough for the slow library.
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        data = text.encode("utf-8", "replace")
    return data


def dumps(value: Any) -> bytes:
    """UTF-8 JSON that every client reads as one line: what goes to clients, streamed or not."""
    data = encode(value)
    # Scans for one byte cost next to nothing, scans for two cost more than the encoding.
    if data.isascii() or not (b"\xe2" in data or b"\xc2" in data):
        return data
    for raw, escaped in _RAW_LINE_ENDS:
        data = data.replace(raw, escaped)
    return data
