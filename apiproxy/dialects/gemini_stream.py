"""Canonical replies -> a native stream: Server-Sent Events, or the pieces of one JSON array (reference 4.4).

Strict SDKs fail on comments, `event:` lines and `[DONE]`: an event is exactly `data: {json}` and an empty line.
"""

from __future__ import annotations

from apiproxy.dialects.gemini_errors import error_object
from apiproxy.wire import codec
from apiproxy.wire.types import Call, Json, Usage
from apiproxy.wire.usage import candidates
from gateway.lib.errors import GatewayError


def add_indexes(reply: Json) -> None:
    """Code Assist leaves `index` out, which strict clients miss."""
    for position, candidate in enumerate(candidates(reply)):
        if "index" not in candidate:
            candidate["index"] = position


class EventStream:
    keepalive = b"\n\n"
    """An empty event: the one filler that every SDK tolerates."""

    def __init__(self, call: Call) -> None:
        self._request_id = call.head.request_id

    def feed(self, reply: Json) -> bytes:
        add_indexes(reply)
        return b"data: " + codec.dumps(reply) + b"\n\n"

    def close(self, usage: Usage) -> bytes:
        return b""

    def error(self, error: GatewayError) -> bytes:
        """Bare, without `data:`: js-genai and go-genai see it only so. The caller writes it on its own."""
        return codec.dumps(error_object(error, self._request_id)) + b"\n\n"


class ArrayStream:
    keepalive = b"\n"

    def __init__(self, call: Call) -> None:
        self._request_id = call.head.request_id
        self._before = b"["

    def feed(self, reply: Json) -> bytes:
        add_indexes(reply)
        return self._element(reply)

    def close(self, usage: Usage) -> bytes:
        return b"]" if self._before == b"," else b"[]"

    def error(self, error: GatewayError) -> bytes:
        return self._element(error_object(error, self._request_id)) + b"]"

    def _element(self, value: Json) -> bytes:
        before, self._before = self._before, b","
        return before + codec.dumps(value)
