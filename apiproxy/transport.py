"""The only sender to upstreams on the path of calls.

Our own client (http1_pool.py), not aiohttp: a small call at 32 in parallel costs 20 µs of CPU instead of 75, a waiting
stream 8 KiB instead of 17. Everything that is not on the path of a call (OAuth, media) uses httpx.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from apiproxy.config import ProxyConfig
from apiproxy.http1_pool import Http1Client
from apiproxy.providers import sandbox
from apiproxy.wire.types import Answer, Outgoing
from gateway.lib.errors import StreamBroken, UpstreamTimeout

_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 256 * 1024


class Response(Protocol):
    """An upstream answer whose head is here. `read` gives the next bytes as they come, b"" at the end; it raises
    StreamBroken or UpstreamTimeout. `close` drops the connection unless the answer was read to its end."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes: ...
    def close(self) -> None: ...


class Transport:
    def __init__(self, config: ProxyConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._client: Http1Client | None = None

    async def start(self) -> None:
        self._client = Http1Client(
            connect_timeout_s=self._config.connect_timeout_s,
            read_timeout_s=self._config.read_timeout_s,
            max_connections=self._config.max_connections,
            proxy=self._config.upstream_proxy,
        )

    def use_proxy(self, proxy: str) -> None:
        """The site's own for the requests from now on; "" for none."""
        if self._client is not None:
            self._client.use_proxy(proxy)

    async def stop(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def send(self, outgoing: Outgoing, proxy: str = "") -> Response:
        """`proxy`: the credential's own, "" for the site's. Raises UpstreamUnreachable (ProxyFailed among them) before
        an answer, UpstreamTimeout when none comes."""
        if outgoing.url.startswith("sandbox:"):
            return _Played(sandbox.respond(outgoing))
        if self._client is None:
            raise RuntimeError("the transport is not started")
        return await self._client.request(
            outgoing.method, outgoing.url, outgoing.headers, outgoing.body, proxy
        )

    async def fetch(self, outgoing: Outgoing, model: str = "", proxy: str = "") -> Answer:
        """The whole answer. Raises as `send` and `Response.read` do."""
        response = await self.send(outgoing, proxy)
        try:
            body = await read_all(response, _MAX_ANSWER_BYTES)
        finally:
            response.close()
        return Answer(response.status, response.headers, body, self._clock(), model)

    async def error_answer(self, response: Response, model: str) -> Answer:
        """The body of an error, cut at a size no error needs; an unreadable one is empty."""
        try:
            body = await read_all(response, _MAX_ERROR_BYTES)
        except (StreamBroken, UpstreamTimeout):
            body = b""
        finally:
            response.close()
        return Answer(response.status, response.headers, body, self._clock(), model)


async def read_all(response: Response, max_bytes: int) -> bytes:
    """Raises StreamBroken when the answer is longer."""
    pieces: list[bytes] = []
    size = 0
    while piece := await response.read():
        size += len(piece)
        if size > max_bytes:
            raise StreamBroken("the upstream's answer is too large")
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Played:
    """An answer of the sandbox, at its own pace."""

    __slots__ = ("_frames", "headers", "status")

    def __init__(self, play: sandbox.Play) -> None:
        self.status = play.status
        self.headers: Mapping[str, str] = play.headers
        self._frames: Iterator[tuple[float, bytes]] = iter(play.frames)

    async def read(self) -> bytes:
        delay_s, frame = next(self._frames, (0.0, b""))
        if delay_s:
            await asyncio.sleep(delay_s)
        return frame

    def close(self) -> None:
        self._frames = iter(())
