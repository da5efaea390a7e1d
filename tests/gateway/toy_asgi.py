"""Small ASGI applications for the tests of `serve`. TOY_FOLDER is where they and the tests leave signs for each other."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("TOY_FOLDER", "."))  # noqa: TID251


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/hold":
        await _hold(send)
    elif scope["path"] == "/frozen":
        await send({"type": "http.response.body", "body": str(gc.get_freeze_count()).encode()})
    else:
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})


async def broken(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Never gets through its start."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": ""})


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    (FOLDER / f"closed-{os.getpid()}").touch()
    await send({"type": "lifespan.shutdown.complete"})


async def _hold(send: Any) -> None:
    """A stream that ends when the test says so."""
    await send({"type": "http.response.body", "body": b"first\n", "more_body": True})
    while not (FOLDER / "release").exists():  # noqa: ASYNC110 - the sign comes from another process
        await asyncio.sleep(0.02)
    await send({"type": "http.response.body", "body": b"last\n"})
