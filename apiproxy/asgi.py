"""The edge of the proxy: a plain ASGI application. It reads the body (capped), finds the endpoint, writes the answer or
streams it, and cancels the call when the client leaves. No Django middleware runs for a call.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from apiproxy import routes, runtime
from apiproxy.dialects import DIALECTS, anthropic_errors
from apiproxy.request import (
    JSON,
    Headers,
    Reply,
    Request,
    StreamReply,
    new_request_id,
    parse_query,
)
from apiproxy.runtime import Runtime
from gateway.lib.errors import (
    BodyTooLarge,
    ClientGone,
    GatewayError,
    InternalError,
    QuotaExhausted,
)
from gateway.lib.tasks import spawn

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREFIXES = ("/v1/", "/v1beta/", "/gemini/v1beta/", "/dashboard/billing/")

# Most calls are over before it pays to listen for a client that leaves.
_LISTEN_AFTER_S = 0.25

_FORWARDED = b"x-forwarded-for"

_OUR_BUG = "an error of this gateway: tell its operator the request id"

# Keys travel in headers, never in cookies: chat clients in a browser may call from any origin.
_CORS = (b"access-control-allow-origin", b"*")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    live = await runtime.current()
    watch = _Watch(receive)
    request = _request(scope, receive, watch, live)
    try:
        await _answer(live, request, _Outlet(send, request.id, live.config.keepalive_s))
    except asyncio.CancelledError:
        if not watch.client_left():
            raise
    finally:
        watch.stop()


async def _answer(live: Runtime, request: Request, outlet: _Outlet) -> None:
    try:
        answer = await routes.answer(live, request)
        if isinstance(answer, Reply):
            await outlet.write_whole(answer)
        else:
            await outlet.stream(answer)
    except ClientGone:
        pass
    except GatewayError as error:
        await outlet.write_whole(_error_reply(request, error))
    except Exception:
        # The edge: whatever escaped is a bug of ours; the client gets its shape all the same.
        logger.exception("request %s failed", request.id)
        if not outlet.committed:
            await outlet.write_whole(_error_reply(request, InternalError(_OUR_BUG)))


def _request(scope: Scope, receive: Receive, watch: _Watch, live: Runtime) -> Request:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if _FORWARDED in headers:
        # Every proxy on the way may have added a line of its own.
        lines = [value for name, value in scope["headers"] if name == _FORWARDED]
        headers[_FORWARDED] = b",".join(lines)

    async def read_body() -> bytes:
        body = await _read_body(receive, headers, live.config.max_body_bytes)
        watch.begin()
        return body

    return Request(
        id=new_request_id(),
        method=scope["method"],
        path=scope["path"],
        headers=headers,
        query=parse_query(scope["query_string"]),
        received_at=time.time(),
        started=time.perf_counter(),
        read_body=read_body,
        scheme=scope.get("scheme", "http"),
        peer=(scope.get("client") or ("",))[0],
    )


async def _read_body(receive: Receive, headers: dict[bytes, bytes], max_bytes: int) -> bytes:
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        return body
    pieces: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone("the client left before its request was complete")
        piece = message.get("body", b"")
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes)
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)
        message = await receive()


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than the {max_bytes:,} bytes this site takes")


def _error_reply(request: Request, error: GatewayError) -> Reply:
    headers: Headers = [JSON, *error.headers]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(math.ceil(error.retry_after_s), 1)))
    if isinstance(error, QuotaExhausted):
        # Vendors' SDKs repeat every 429; this one cannot get better by itself.
        headers.append((b"x-should-retry", b"false"))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    dialect = routes.dialect_of(request)
    status = error.status
    if dialect == "anthropic-messages":
        headers.append((b"request-id", request.id.encode()))
        status = anthropic_errors.http_status(error)
    return Reply(status, headers, DIALECTS[dialect].render_error(error, request.id))


class _Outlet:
    """Writes one answer. While a stream is silent it sends the dialect's keep-alive, with the head if need be."""

    def __init__(self, send: Send, request_id: str, keepalive_s: float) -> None:
        self._send = send
        self._request_id = (b"x-request-id", request_id.encode())
        self._keepalive_s = keepalive_s
        self._head: Headers = []
        self._busy = False
        self._last_write = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ping: asyncio.Task[Any] | None = None
        self.committed = False

    async def write_whole(self, reply: Reply) -> None:
        if self._ping is not None:
            # It has not begun, else its head would be out; it must not do so within this answer.
            self._ping.cancel()
        self.committed = True
        length = (b"content-length", b"%d" % len(reply.body))
        headers = [*reply.headers, length, self._request_id, _CORS]
        await self._send(
            {"type": "http.response.start", "status": reply.status, "headers": headers}
        )
        await self._send({"type": "http.response.body", "body": reply.body})

    async def stream(self, reply: StreamReply) -> None:
        """Raises the GatewayError of a stream that failed before its head went out."""
        # Composed when it goes out: what a call that waits for its turn has left is known by then.
        self._head = reply.headers
        self._keepalive_s = min(self._keepalive_s, reply.keepalive_s)
        loop = asyncio.get_running_loop()
        self._last_write = loop.time()
        self._timer = loop.call_later(self._keepalive_s, self._tick, loop, reply.keepalive)
        pieces = reply.pieces
        try:
            async for piece in pieces:
                await self._write(piece, loop)
        except GatewayError as error:
            if not self.committed:
                raise
            await self._write(reply.error(error), loop)
        except Exception:
            if not self.committed:
                raise
            logger.exception("request %s failed", self._request_id[1].decode())
            await self._write(reply.error(InternalError(_OUR_BUG)), loop)
        finally:
            self._timer.cancel()
            await pieces.aclose()
        await self._write(b"", loop, more=False)

    async def _write(self, data: bytes, loop: asyncio.AbstractEventLoop, more: bool = True) -> None:
        if self._ping is not None:
            await self._ping
            self._ping = None
        self._busy = True
        if not self.committed:
            self.committed = True
            await self._send(
                {"type": "http.response.start", "status": 200, "headers": self._whole_head()}
            )
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self._last_write = loop.time()
        self._busy = False

    def _whole_head(self) -> Headers:
        return [*self._head, self._request_id, _CORS]

    def _tick(self, loop: asyncio.AbstractEventLoop, keepalive: bytes) -> None:
        wait = self._last_write + self._keepalive_s - loop.time()
        if wait <= 0:
            wait = self._keepalive_s
            if not self._busy and self._ping is None:
                self._ping = spawn(self._send_keepalive(loop, keepalive), name="keepalive")
        self._timer = loop.call_later(wait, self._tick, loop, keepalive)

    async def _send_keepalive(self, loop: asyncio.AbstractEventLoop, keepalive: bytes) -> None:
        try:
            if not self.committed:
                self.committed = True
                await self._send(
                    {"type": "http.response.start", "status": 200, "headers": self._whole_head()}
                )
            await self._send({"type": "http.response.body", "body": keepalive, "more_body": True})
            self._last_write = loop.time()
        finally:
            self._ping = None


class _Watch:
    """Cancels the call when its client leaves; listens only to calls that last."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task = asyncio.current_task()
        self._gone = False
        self._listener: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Not before the body was read: the two would take each other's messages."""
        self._timer = asyncio.get_running_loop().call_later(_LISTEN_AFTER_S, self._listen)

    def client_left(self) -> bool:
        """Whether the cancellation was this watch's; it is then taken back."""
        if self._gone and self._task is not None:
            self._task.uncancel()
        return self._gone

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()

    def _listen(self) -> None:
        self._listener = spawn(self._until_gone(), name="watch")

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._task is not None:
            self._task.cancel()
