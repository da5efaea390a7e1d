"""The Responses dialect: the functions of `base.Dialect`. `parse` also takes what is stored of earlier responses."""

from __future__ import annotations

from apiproxy.dialects.openai_errors import error_object
from apiproxy.dialects.openai_responses_request import parse
from apiproxy.dialects.openai_responses_stream import ResponsesStream, render
from apiproxy.dialects.sse import EVENT_STREAM_HEADERS
from apiproxy.wire import codec
from apiproxy.wire.types import Call
from gateway.lib.errors import GatewayError

__all__ = ["parse", "render", "render_error", "stream", "stream_headers"]


def stream(call: Call) -> ResponsesStream:
    return ResponsesStream(call)


def stream_headers(call: Call) -> list[tuple[bytes, bytes]]:
    return EVENT_STREAM_HEADERS


def render_error(error: GatewayError, request_id: str) -> bytes:
    return codec.dumps(error_object(error, request_id))
