"""What requests to the pages and the management API pass before Django sees them: whose address counts, and how much may be sent."""

from __future__ import annotations

from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

# uvicorn and Django have each their own names for ASGI's types.
App = Any
Scope = Any
Receive = Any
Send = Any

_FORWARDED_FOR = b"x-forwarded-for"
_TOO_LARGE = b"This request is too large: send less at a time."


class BehindProxies(ProxyHeadersMiddleware):
    """The visitor's scheme and address, as a trusted proxy tells them, by the rules that hold for calls (apiproxy/address.py): each proxy on
    the way may have added a line of its own, and where everybody is trusted, the last address counts. uvicorn would look at the last line
    alone, and take the first address, which the visitor may have invented."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = [value for name, value in scope["headers"] if name == _FORWARDED_FOR]
        if told:
            hops = b",".join(told)
            if self.trusted_hosts.always_trust:
                hops = hops.rpartition(b",")[2]
            others = [header for header in scope["headers"] if header[0] != _FORWARDED_FOR]
            scope = {**scope, "headers": [*others, (_FORWARDED_FOR, hops)]}
        await super().__call__(scope, receive, send)


class Bounded:
    """Django writes a body down to its end, on the disk when it is long, before any view asks who sends it. Here it ends."""

    def __init__(self, app: App, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._most_bytes:
            await _refuse(send)
            return
        received = 0

        async def bounded() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            # To Django, a visitor who sends too much has left.
            return message if received <= self._most_bytes else {"type": "http.disconnect"}

        await self._app(scope, bounded, send)
        if received > self._most_bytes:
            await _refuse(send)


async def _refuse(send: Send) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(_TOO_LARGE)).encode()),
        # What still comes is not read.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": _TOO_LARGE})
