"""A loop that runs on while nothing is asked, as in a program that serves others meanwhile."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Coroutine
from typing import Any

_LOOP = asyncio.new_event_loop()
threading.Thread(target=_LOOP.run_forever, daemon=True).start()


def awaited(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(work, _LOOP).result()


async def let_go() -> None:
    """Some clients leave an abandoned stream to Python's collector; the loop then closes it layer by layer."""
    for _ in range(3):
        for _ in range(50):
            await asyncio.sleep(0)
        gc.collect()
