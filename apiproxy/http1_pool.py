"""The HTTP/1.1 client of the hot path: connections are kept between calls, most recently used first.

It does what the upstreams of this gateway need and no more: no redirects, no cookies, no HEAD. What a call costs beside
other clients is written in transport.py.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Mapping

from apiproxy.http1 import Connection
from apiproxy.http1_dial import PROXY_LOGIN_WANTED, Dialler, proxy_failed, refuses_login
from apiproxy.http1_request import Origin, Proxy, Target
from gateway.lib.errors import StreamBroken, UpstreamUnreachable

# Google's servers keep an idle connection for longer, so that we are the ones who close it.
IDLE_S = 55.0
_TICK_S = 1.0
_KNOWN_TARGETS = 4096
_UNPACKED_BYTES = 1024 * 1024
_UNREADABLE = "the upstream's answer cannot be read: try again"


class Http1Client:
    """`proxy`: the URL of the site's proxy, with its user and password. `max_connections` counts the idle ones too."""

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        max_connections: int,
        proxy: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._max_connections = max_connections
        self._proxy = Proxy(proxy, "this site") if proxy else None
        tls = tls or ssl.create_default_context()
        tls.set_alpn_protocols(["http/1.1"])
        self._dialler = Dialler(tls)
        # Held from the request until the response is closed.
        self._slots = asyncio.Semaphore(max_connections)
        self._busy = 0
        self._open: set[Connection] = set()
        self._idle: dict[Origin, list[Connection]] = {}
        self._targets: dict[tuple[str, str, str], Target] = {}
        self._proxies: dict[str, Proxy] = {}
        self._tick_s = min(_TICK_S, read_timeout_s / 4)
        self._tick: asyncio.TimerHandle | None = None
        self._closed = False

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        proxy: str = "",
    ) -> Response:
        """The answer, once its head is here; it must be closed. Waits for its turn when all connections are in use.

        `url` is sent as it is: percent-encoded by the caller. `host` and `content-length` are written here. `proxy`: the
        URL of the credential's own, "" for the site's. Raises UpstreamUnreachable (ProxyFailed among them),
        UpstreamTimeout; ValueError for what no request may hold.
        """
        target = self._target(method, url, proxy)
        head = target.head(headers, body)
        await self._slots.acquire()
        self._busy += 1
        try:
            connection = await self._exchange(target.origin, head, body)
        except BaseException:
            self._leave()
            raise
        return Response(self, connection)

    async def aclose(self) -> None:
        """Closes all connections; answers that are still read break off."""
        self._closed = True
        if self._tick is not None:
            self._tick.cancel()
        for connection in tuple(self._open):
            connection.abort()
        await asyncio.sleep(0)  # lets the transports tell that they are closed

    def take_back(self, connection: Connection) -> None:
        """Of a response that is closed: kept for the next call, or closed too."""
        self._leave()
        if connection.is_reusable and not self._closed:
            connection.deadline = asyncio.get_running_loop().time() + IDLE_S
            self._idle.setdefault(connection.origin, []).append(connection)
        else:
            connection.abort()

    def _leave(self) -> None:
        self._busy -= 1
        self._slots.release()

    def _target(self, method: str, url: str, proxy: str) -> Target:
        known = self._targets.get((method, url, proxy))
        if known is None:
            if len(self._targets) >= _KNOWN_TARGETS:
                self._targets.clear()
            way = self._own_proxy(proxy) if proxy else self._proxy
            self._targets[method, url, proxy] = known = Target(method, url, way)
        return known

    def use_proxy(self, url: str) -> None:
        """The site's own from now on. Idle connections of the old way end by their age."""
        self._proxy = Proxy(url, "this site") if url else None
        self._targets.clear()

    def _own_proxy(self, url: str) -> Proxy:
        known = self._proxies.get(url)
        if known is None:
            try:
                known = Proxy(url, "this credential")
            except ValueError as exc:
                raise proxy_failed("this credential", "has no proper address") from exc
            if len(self._proxies) >= _KNOWN_TARGETS:
                self._proxies.clear()
            self._proxies[url] = known
        return known

    async def _exchange(self, origin: Origin, head: bytes, body: bytes) -> Connection:
        connection = self._kept(origin)
        if connection is not None:
            try:
                await connection.exchange(head, body)
            except UpstreamUnreachable:
                if connection.heard:
                    raise
                # The upstream closed the idle connection while we wrote: nobody's failure, so once more on a new one.
            else:
                return connection
        connection = await self._connect(origin)
        await connection.exchange(head, body)
        if connection.status == PROXY_LOGIN_WANTED and origin.is_relayed:
            connection.abort()
            raise refuses_login(origin)
        return connection

    def _kept(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _connect(self, origin: Origin) -> Connection:
        if self._closed:
            raise RuntimeError("the client is closed")
        self._make_room()
        loop = asyncio.get_running_loop()
        connection = Connection(origin, loop, self._open, self._read_timeout_s)
        await self._dialler.dial(connection, self._connect_timeout_s)
        if self._tick is None:
            self._watch()
        return connection

    def _make_room(self) -> None:
        """The longest idle connection gives way to a new one when there are too many."""
        idle = [connection for stack in self._idle.values() for connection in stack]
        if idle and len(idle) + self._busy > self._max_connections:
            oldest = min(idle, key=lambda connection: connection.deadline)
            self._idle[oldest.origin].remove(oldest)
            oldest.abort()

    def _watch(self) -> None:
        """One timer for all: a timer for each wait would cost more than the wait."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in tuple(self._open):
            if connection.deadline <= now:
                connection.expire()
        for origin, stack in tuple(self._idle.items()):
            stack[:] = [connection for connection in stack if connection.is_open]
            if not stack:
                del self._idle[origin]
        self._tick = loop.call_later(self._tick_s, self._watch) if self._open else None


class Response:
    """An answer whose head is here. `headers` has names in lower case."""

    __slots__ = ("_body", "_client", "_connection", "headers", "status")

    def __init__(self, client: Http1Client, connection: Connection) -> None:
        self._client = client
        self._connection: Connection | None = connection
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers
        # Nobody asks for it: it would cost more time than the wire saves, and 40 kB a stream. It may come all the same.
        packed = connection.headers.get("content-encoding", "identity").lower() != "identity"
        self._body = _Unpacked(connection) if packed else connection

    async def read(self) -> bytes:
        """The next bytes as they come, b"" at the end. Raises StreamBroken, UpstreamTimeout."""
        if self._connection is None:
            raise RuntimeError("the response is closed")
        return await self._body.read()

    def close(self) -> None:
        """Gives the connection back when the answer was read to its end, else closes it at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._client.take_back(connection)


class _Unpacked:
    """A body in gzip or deflate (zlib's form), unpacked as it comes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inflater = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)
        self._begun = False

    async def read(self) -> bytes:
        data = b""
        while not data:
            packed = self._inflater.unconsumed_tail or await self._connection.read()
            if not packed:
                return self._rest()
            data = self._unpack(packed)
        return data

    def _unpack(self, packed: bytes) -> bytes:
        """Cut at a size, as few bytes can hold very many: what is left over is unpacked next."""
        self._begun = True
        try:
            data = self._inflater.decompress(packed, _UNPACKED_BYTES)
        except zlib.error as exc:
            raise StreamBroken(_UNREADABLE) from exc
        if self._inflater.unused_data:
            raise StreamBroken(_UNREADABLE)
        return data

    def _rest(self) -> bytes:
        rest = self._inflater.flush()
        if self._begun and not self._inflater.eof:
            raise StreamBroken(_UNREADABLE)
        return rest
