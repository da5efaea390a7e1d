from __future__ import annotations

import asyncio

from gateway.lib import tasks


async def test_a_failure_is_logged_as_nobody_awaits_it(caplog):
    async def failing():
        raise ValueError("planted")

    task = tasks.spawn(failing(), name="doomed")
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert "task doomed failed" in caplog.text
    assert "planted" in caplog.text
    assert task not in tasks._running


async def test_a_cancelled_task_is_nobodys_failure(caplog):
    task = tasks.spawn(asyncio.Event().wait(), name="waiting")
    task.cancel()
    await asyncio.wait([task])
    assert caplog.text == ""
