"""The websocket routes, first match first."""

from __future__ import annotations

from typing import Any

from django.urls import re_path


async def nowhere(scope: Any, receive: Any, send: Any) -> None:
    """No such socket: refused before the handshake is complete, without a word in the error log."""
    await receive()
    await send({"type": "websocket.close", "code": 4404})


websocket_urlpatterns = [
    re_path(r"", nowhere),  # type: ignore[arg-type]  # Channels puts ASGI applications here
]
