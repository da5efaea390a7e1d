"""What requests to the pages and the management API pass before Django sees them: whose address counts, and how much may be sent."""

from __future__ import annotations

from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

# uvicorn and Django have each their own names for ASGI's types.
App = Any
Scope = Any
Receive = Any
Send = Any
Headers = list[tuple[bytes, bytes]]

_FORWARDED_FOR = b"x-forwarded-for"
_TOO_LARGE = b"This request is too large: send less at a time."


class BehindProxies(ProxyHeadersMiddleware):
    """The visitor's scheme and address, as a trusted proxy tells them. Where everybody is trusted, the last address counts, as it does for
    calls (apiproxy/address.py): uvicorn would take the first, which the visitor may have invented."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.trusted_hosts.always_trust:
            scope = {**scope, "headers": _with_the_last_hop(scope["headers"])}
        await super().__call__(scope, receive, send)


def _with_the_last_hop(headers: Headers) -> Headers:
    told = [value for name, value in headers if name == _FORWARDED_FOR]
    if not told:
        return headers
    others = [header for header in headers if header[0] != _FORWARDED_FOR]
    return [*others, (_FORWARDED_FOR, told[-1].rpartition(b",")[2])]


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
