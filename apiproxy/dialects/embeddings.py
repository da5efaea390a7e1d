"""What all dialects' embedding calls have in common: the limits of a batch and what a text costs."""

from __future__ import annotations

from typing import Any

from apiproxy.wire.types import Json
from apiproxy.wire.usage import parts

BATCH_LIMIT = 100
"""Requests in one `batchEmbedContents` (reference 3.6)."""

_BYTES_A_TOKEN = 4
_TOKENS_OF_MEDIA = 258


def input_tokens(body: Json) -> int:
    """An estimate: the upstream counts no tokens of embeddings (reference 3.6)."""
    requests = body.get("requests")
    given = requests if isinstance(requests, list) else [body]
    return sum(
        _tokens(part)
        for request in given
        if isinstance(request, dict)
        for part in parts({"content": request.get("content")})
    )


def _tokens(part: Json) -> int:
    text: Any = part.get("text")
    if not isinstance(text, str):
        return _TOKENS_OF_MEDIA
    return max(-(-len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN), 1)
