"""What a dialect module offers. A module is the plug-in: its functions satisfy `Dialect`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from apiproxy.wire.types import Call, Head, Model, Usage
from gateway.lib.errors import GatewayError

Json = dict[str, Any]

Resolve = Callable[[str], Model]
"""A model name as a client writes it -> Model; raises UnknownModel."""


class StreamRenderer(Protocol):
    """Canonical replies -> bytes of the client's stream.

    `feed` may return b"" (nothing to say yet). `close` gives the one closing chunk, the usage and the terminator;
    it is called once, after the charge is booked. `error` is used instead of `close` when the stream breaks after
    bytes have gone out. `keepalive` is what may be written between events while the upstream is silent.
    """

    keepalive: bytes

    def feed(self, reply: Json) -> bytes: ...
    def close(self, usage: Usage) -> bytes: ...
    def error(self, error: GatewayError) -> bytes: ...


class Dialect(Protocol):
    def parse(self, body: Json, head: Head, resolve: Resolve) -> Call:
        """Raises InvalidRequest with `param` naming the field; never anything else for a bad body."""
        ...

    def render(self, call: Call, replies: list[Json]) -> bytes: ...
    def stream(self, call: Call) -> StreamRenderer: ...
    def stream_headers(self, call: Call) -> list[tuple[bytes, bytes]]: ...
    def render_error(self, error: GatewayError, request_id: str) -> bytes: ...
