"""One client request as the endpoints see it, and what they answer."""

from __future__ import annotations

import math
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from urllib.parse import parse_qsl

from msgspec import Struct

from gateway.lib.errors import GatewayError

Header = tuple[bytes, bytes]
Headers = list[Header]

JSON = (b"content-type", b"application/json")

# Ids name requests, they open nothing: no system call for each.
_random = random.Random()
# They stand in error texts, in which clients look for "403" and the like: an id must not say one by chance.
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


def new_request_id() -> str:
    """`req_`, 12 letters of milliseconds, 16 of chance: ids that were made together lie together in an index."""
    digits = f"{time.time_ns() // 1_000_000:012x}{_random.getrandbits(64):016x}"
    return "req_" + digits.translate(_LETTERS)


class Request(Struct):
    """`headers` has lower-case names; of a repeated header the last one counts, but those of X-Forwarded-For are one list."""

    id: str
    method: str
    path: str
    headers: dict[bytes, bytes]
    query: dict[str, str]
    received_at: float
    started: float
    read_body: Callable[[], Awaitable[bytes]]
    """Raises BodyTooLarge, ClientGone."""
    scheme: str = "http"
    """Of the connection itself, whatever a proxy in front of it speaks."""
    peer: str = ""
    """The address at its other end."""

    def api_key(self) -> str:
        """The first key presented, "" when none is (reference 4.2; what hardly any client sends is looked for last)."""
        if self.query and (key := self.query.get("key")):
            return key
        headers = self.headers
        for name in (b"x-goog-api-key", b"x-api-key"):
            if value := headers.get(name):
                return value.decode("latin-1").strip()
        scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            return value.decode("latin-1").strip()
        for name in (b"x-anthropic-auth-token", b"anthropic-auth-token", b"access_token"):
            if value := headers.get(name):
                return value.decode("latin-1").strip()
        return ""


class Reply(Struct):
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes


class StreamReply(Struct):
    """An answer in pieces. The head goes out with the first piece, or with a keep-alive after a while of silence;
    until then a GatewayError of `pieces` becomes a Reply, afterwards `error` puts it into the stream. `keepalive_s`: the
    longest silence, where it is shorter than the site's."""

    headers: Headers
    keepalive: bytes
    pieces: AsyncGenerator[bytes, None]
    error: Callable[[GatewayError], bytes]
    keepalive_s: float = math.inf


def parse_query(query_string: bytes) -> dict[str, str]:
    if not query_string:
        return {}
    return dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
