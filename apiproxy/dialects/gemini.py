"""The native Gemini dialect, passed through with little change: the functions of `base.Dialect`."""

from __future__ import annotations

from apiproxy.dialects.base import StreamRenderer
from apiproxy.dialects.gemini_errors import error_object
from apiproxy.dialects.gemini_request import is_gemini_body, parse, parse_chat_body
from apiproxy.dialects.gemini_stream import ArrayStream, EventStream, add_indexes
from apiproxy.dialects.replies import merge
from apiproxy.dialects.sse import EVENT_STREAM_HEADERS
from apiproxy.wire import codec
from apiproxy.wire.types import Call, Framing, Json
from gateway.lib.errors import GatewayError

__all__ = [
    "is_gemini_body",
    "parse",
    "parse_chat_body",
    "render",
    "render_error",
    "stream",
    "stream_headers",
]

_ARRAY_HEADERS = [
    (b"content-type", b"application/json; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


def render(call: Call, replies: list[Json]) -> bytes:
    reply = merge(replies)
    add_indexes(reply)
    return codec.dumps(reply)


def stream(call: Call) -> StreamRenderer:
    return EventStream(call) if call.framing is Framing.SSE else ArrayStream(call)


def stream_headers(call: Call) -> list[tuple[bytes, bytes]]:
    return EVENT_STREAM_HEADERS if call.framing is Framing.SSE else _ARRAY_HEADERS


def render_error(error: GatewayError, request_id: str) -> bytes:
    return codec.dumps(error_object(error, request_id))
