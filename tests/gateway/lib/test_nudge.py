from __future__ import annotations

import asyncio

from gateway.lib import nudge


async def test_a_nudge_is_heard(redis_url, settings):
    settings.REDIS_URL = redis_url
    heard = asyncio.Event()

    async def listen():
        async for _ in nudge.received(redis_url):
            heard.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        listener = group.create_task(listen())
        while not heard.is_set():
            # Again until the subscription stands.
            await asyncio.to_thread(nudge.send)
            await asyncio.sleep(0.01)
        listener.cancel()


def test_without_redis_nobody_is_asked(settings):
    settings.REDIS_URL = ""
    nudge.send()


def test_a_redis_that_is_away_is_only_logged(settings, unused_tcp_port, caplog):
    settings.REDIS_URL = f"redis://127.0.0.1:{unused_tcp_port}/0"
    nudge.send()
    assert "were not told" in caplog.text
