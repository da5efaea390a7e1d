"""The sandbox's embeddings: unit vectors made of a text's words, so that texts which share words lie close together."""

from __future__ import annotations

import math
import re
import zlib
from typing import Any

from apiproxy.providers.sandbox_prompt import objects, text_of

Json = dict[str, Any]

MODEL = "sandbox-embed"

_FULL_SIZE = 3072
_WORD = re.compile(r"\w+")


def embed(request: Json) -> Json:
    """The reply to an `embedContent` or `batchEmbedContents` request."""
    if "requests" in request:
        return {"embeddings": [_embedding(one) for one in objects(request["requests"])]}
    return {"embedding": _embedding(request)}


def _embedding(request: Json) -> Json:
    size = request.get("outputDimensionality")
    if not isinstance(size, int) or not 1 <= size <= _FULL_SIZE:
        size = _FULL_SIZE
    content = request.get("content")
    text = text_of(content) if isinstance(content, dict) else ""
    return {"values": _vector(text, size)}


def _vector(text: str, size: int) -> list[float]:
    values = [0.0] * size
    for word in _WORD.findall(text.lower()) or [text]:
        digest = zlib.crc32(word.encode("utf-8", "replace"))
        values[digest % size] += 1.0
    length = math.hypot(*values)
    return [value / length for value in values]
