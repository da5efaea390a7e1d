"""One HTTP/1.1 connection to an upstream: a request goes out, its answer comes in, then the next request.

httptools parses. This file decides where an answer ends, what is a failure and when the reader wakes; http1_pool.py keeps
the connections between calls and their clock.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import cast

import httptools

from apiproxy.http1_request import Origin
from gateway.lib.errors import StreamBroken, UpstreamTimeout, UpstreamUnreachable

MAX_HEAD_BYTES = 64 * 1024
# A reader that is slower than the upstream makes the upstream wait, instead of filling our memory.
MAX_WAITING_BYTES = 1024 * 1024
# Larger blocks come from the system, page by page.
_JOINED_BYTES = 64 * 1024


class Connection(asyncio.Protocol):
    """`exchange` brings the head of an answer, `read` its body, for one request at a time.

    `deadline` is when `expire` is due, in seconds of the loop's clock; somebody else looks at it. `heard`: a byte came
    since the last request. `siblings`: the set of open connections, which this one enters and leaves by itself.
    """

    __slots__ = (
        "_complete",
        "_failure",
        "_head_bytes",
        "_keep_alive",
        "_loop",
        "_parser",
        "_paused",
        "_pieces",
        "_read_timeout_s",
        "_siblings",
        "_until_eof",
        "_waiter",
        "_waiting_bytes",
        "deadline",
        "headers",
        "heard",
        "origin",
        "status",
        "transport",
    )

    def __init__(
        self,
        origin: Origin,
        loop: asyncio.AbstractEventLoop,
        siblings: set[Connection],
        read_timeout_s: float,
    ) -> None:
        self.origin = origin
        self.status = 0
        """0 until the head of the answer is here."""
        self.headers: dict[str, str] = {}
        """Names in lower case. Of a repeated one the last counts."""
        self.heard = False
        self.deadline = inf
        self.transport: asyncio.Transport
        self._loop = loop
        self._siblings = siblings
        self._read_timeout_s = read_timeout_s
        self._parser: httptools.HttpResponseParser
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._paused = False
        self._head_bytes = 0
        self._until_eof = False
        self._keep_alive = False
        # No answer is due yet: whatever comes before a request is a fault.
        self._complete = True

    @property
    def is_open(self) -> bool:
        return self._failure is None and not self.transport.is_closing()

    @property
    def is_reusable(self) -> bool:
        """The answer was read to its end, the request is written to its end, and the upstream wants to go on."""
        return (
            self._complete
            and self._keep_alive
            and not self._pieces
            and self.is_open
            and not self.transport.get_write_buffer_size()
        )

    async def exchange(self, head: bytes, body: bytes) -> None:
        """Raises UpstreamUnreachable or UpstreamTimeout without a head; whatever it raises, the connection is closed."""
        self.status = self._head_bytes = 0
        self.headers = {}
        self.heard = self._until_eof = self._keep_alive = self._complete = False
        if self._failure is None:
            self.transport.writelines((head, body))
            try:
                await self._news()
            except BaseException:
                self.abort()
                raise
        if not self.status:
            if isinstance(self._failure, TimeoutError):
                raise UpstreamTimeout(
                    "the upstream did not answer in time: try again"
                ) from self._failure
            raise UpstreamUnreachable(
                "the upstream cannot be reached: try again"
            ) from self._failure

    async def read(self) -> bytes:
        """All of the body that is here, or the next that comes; b"" at its end. StreamBroken, UpstreamTimeout."""
        if not (self._pieces or self._complete or self._failure):
            await self._news()
        if self._pieces:
            return self._take()
        if self._complete:
            return b""
        if isinstance(self._failure, TimeoutError):
            raise UpstreamTimeout("the upstream fell silent: try again") from self._failure
        raise StreamBroken("the upstream broke off its answer: try again") from self._failure

    def abort(self) -> None:
        """Closes at once: the upstream sees it, and who still waits here gets an error."""
        self._fail(ConnectionAbortedError("closed on our side"))

    def expire(self) -> None:
        self._fail(TimeoutError("silent for too long"))

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A second time, with the encrypted transport, once a tunnel through a proxy stands."""
        self.transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)
        # Nothing that was said before the encryption counts.
        self._pieces.clear()
        self._waiting_bytes = 0
        self._complete = True
        self._siblings.add(self)

    def data_received(self, data: bytes) -> None:
        self.heard = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._fail(exc)
        if not self.status:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._fail(ValueError("the head of the answer is too large"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._until_eof and exc is None and self._failure is None:
            self._complete = True
        self._fail(exc or EOFError("closed by the upstream"))
        # It holds our methods: kept, the two would hold each other.
        del self._parser

    # httptools calls these, while it is fed.

    def on_message_begin(self) -> None:
        if self._complete:
            raise ValueError("an answer without a request")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self.headers = {}  # an interim answer: the real one follows
            return
        coding = self.headers.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            raise ValueError("a transfer coding nobody asked for")
        self._until_eof = coding is None and "content-length" not in self.headers
        self.status = status
        self._wake()

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > MAX_WAITING_BYTES and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        if self.status:
            self._complete = True
            self._keep_alive = self._parser.should_keep_alive()
            self._wake()

    async def _news(self) -> None:
        """Sleeps until the head is here, or some body, or the end, or a failure."""
        self._waiter = self._loop.create_future()
        self.deadline = self._loop.time() + self._read_timeout_s
        try:
            await self._waiter
        finally:
            self._waiter = None
            self.deadline = inf

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take(self) -> bytes:
        """Pieces that came together leave together, up to a size: a longer copy costs more than another read."""
        pieces, size, count = self._pieces, 0, 0
        while size < _JOINED_BYTES and count < len(pieces):
            size += len(pieces[count])
            count += 1
        data = pieces[0] if count == 1 else b"".join(pieces[:count])
        del pieces[:count]
        self._waiting_bytes -= size
        if self._paused and not pieces:
            self._paused = False
            self.transport.resume_reading()
        return data

    def _fail(self, cause: Exception) -> None:
        """The first cause counts. It is not seen by a reader whose answer is complete."""
        if self._failure is None:
            self._failure = cause
            self._siblings.discard(self)
            self.transport.abort()
        self._wake()
