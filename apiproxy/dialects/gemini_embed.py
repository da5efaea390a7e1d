"""Native `embedContent` and `batchEmbedContents`: passed on, the model's name put in by the provider (reference 3.6)."""

from __future__ import annotations

from apiproxy.dialects.embeddings import BATCH_LIMIT
from apiproxy.dialects.fields import as_list, as_object
from apiproxy.dialects.gemini_contents import listed
from apiproxy.wire.types import Json
from gateway.lib.errors import InvalidRequest

BATCH = "batchEmbedContents"


def check(body: Json, method: str) -> None:
    as_object(body, "")
    if method != BATCH:
        # Its form decides which of the two is called upstream.
        if "requests" in body:
            raise InvalidRequest(f"requests belongs to {BATCH}", param="requests")
        _check_content(body, "content")
        return
    requests = as_list(body.get("requests"), "requests")
    if not 1 <= len(requests) <= BATCH_LIMIT:
        raise InvalidRequest(
            f"requests must hold from 1 to {BATCH_LIMIT} requests", param="requests"
        )
    for number, request in enumerate(requests):
        at = f"requests[{number}]"
        _check_content(as_object(request, at), f"{at}.content")


def _check_content(request: Json, at: str) -> None:
    content = as_object(request.get("content"), at)
    listed(content, "parts")
    parts = as_list(content.get("parts"), f"{at}.parts")
    for number, part in enumerate(parts):
        as_object(part, f"{at}.parts[{number}]")
