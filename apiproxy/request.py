"""One client request as the endpoints see it, and what they answer."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from urllib.parse import parse_qsl

from msgspec import Struct

from gateway.lib.errors import GatewayError

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")

# Ids name requests, they open nothing: no system call for each.
_random = random.Random()


def new_request_id() -> str:
    """`req_`, 12 hex digits of milliseconds, 16 of chance: ids that were made together lie together in an index."""
    return f"req_{time.time_ns() // 1_000_000:012x}{_random.getrandbits(64):016x}"


class Request(Struct):
    """`headers` has lower-case names; of a repeated header the last one counts."""

    id: str
    method: str
    path: str
    headers: dict[bytes, bytes]
    query: dict[str, str]
    received_at: float
    started: float
    read_body: Callable[[], Awaitable[bytes]]
    """Raises BodyTooLarge, ClientGone."""

    def api_key(self) -> str:
        """The first key presented, "" when none is (the order of reference 4.2)."""
        if self.query and (key := self.query.get("key")):
            return key
        headers = self.headers
        for name in (b"x-goog-api-key", b"x-api-key"):
            if value := headers.get(name):
                return value.decode("latin-1").strip()
        scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            return value.decode("latin-1").strip()
        return ""


class Reply(Struct):
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes


class StreamReply(Struct):
    """An answer in pieces. The head goes out with the first piece, or with a keep-alive after a while of silence;
    until then a GatewayError of `pieces` becomes a Reply, afterwards `error` puts it into the stream."""

    headers: Headers
    keepalive: bytes
    pieces: AsyncGenerator[bytes, None]
    error: Callable[[GatewayError], bytes]


def parse_query(query_string: bytes) -> dict[str, str]:
    if not query_string:
        return {}
    return dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
