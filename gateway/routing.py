"""The websocket routes, first match first."""

from __future__ import annotations

from typing import Any

from django.urls import re_path


async def nowhere(scope: Any, receive: Any, send: Any) -> None:
    """No such socket: refused before the handshake is complete, without a word in the error log."""
    await receive()
    await send({"type": "websocket.close", "code": 4404})


async def ask_by_post(scope: Any, receive: Any, send: Any) -> None:
    """Clients of the Responses API that would rather speak through a socket take 426 for "use HTTP", and at once; after
    any other refusal codex tries again for seconds.
    """
    await receive()
    headers = [(b"content-length", b"0"), (b"upgrade", b"HTTP/1.1")]
    await send({"type": "websocket.http.response.start", "status": 426, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b""})


websocket_urlpatterns = [
    re_path(r"^v1/responses$", ask_by_post),  # type: ignore[arg-type]
    re_path(r"", nowhere),  # type: ignore[arg-type]  # Channels puts ASGI applications here
]
