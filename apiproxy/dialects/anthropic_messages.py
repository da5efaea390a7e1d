"""The Anthropic Messages dialect: the functions of `base.Dialect`."""

from __future__ import annotations

from apiproxy.dialects.anthropic_errors import error_object
from apiproxy.dialects.anthropic_reply import render
from apiproxy.dialects.anthropic_request import parse
from apiproxy.dialects.anthropic_stream import MessageStream
from apiproxy.dialects.sse import EVENT_STREAM_HEADERS
from apiproxy.wire import codec
from apiproxy.wire.types import Call
from gateway.lib.errors import GatewayError

__all__ = ["parse", "render", "render_error", "stream", "stream_headers"]


def stream(call: Call) -> MessageStream:
    return MessageStream(call)


def stream_headers(call: Call) -> list[tuple[bytes, bytes]]:
    return EVENT_STREAM_HEADERS


def render_error(error: GatewayError, request_id: str) -> bytes:
    return codec.dumps(error_object(error, request_id))
