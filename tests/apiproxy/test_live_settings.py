"""What an operator changes reaches a running process."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async

from apiproxy import runtime
from gateway.lib import site_settings


@pytest.fixture(autouse=True)
def _afterwards_as_before():
    yield
    site_settings.apply({})


async def change(edge, **values):
    """As another process does it: this one learns of it from the database alone."""
    await sync_to_async(site_settings.change)(values=values, actor="alice")
    site_settings.apply({})
    await edge.runtime.feed.update()


async def test_how_often_others_are_tried(edge, lent, key, fake):
    assert edge.runtime.config.max_attempts > 1
    await change(edge, RETRY_429_ENABLED=False)
    assert edge.runtime.relay._config.max_attempts == 1
    await change(edge, RETRY_429_ENABLED=True, RETRY_429_MAX_RETRIES=2)
    assert edge.runtime.relay._config.max_attempts == 3
    assert (await edge.chat(key.text)).status == 200


async def test_which_statuses_ban(edge):
    await change(edge, AUTO_BAN=True, AUTO_BAN_ERROR_CODES=[401, 403])
    assert edge.runtime.config.auto_ban_statuses == {401, 403}
    rules = edge.runtime.relay._rulebook()
    assert rules is edge.runtime.relay._book
    await change(edge, AUTO_BAN=False)
    assert edge.runtime.relay._config.auto_ban_statuses == frozenset()
    assert edge.runtime.relay._rulebook() is not rules


async def test_the_rest_of_what_was_handed_on_at_the_start(edge):
    await change(
        edge,
        CALLS_PER_ROTATION=3,
        LIMIT_WAIT_S=1.5,
        LIMIT_QUEUE_LENGTH=4,
        PROXY="http://127.0.0.1:9",
    )
    live = edge.runtime
    assert live.pool._calls_per_rotation == 3
    assert (live.pacing.wait_s, live.pacing.most_waiting) == (1.5, 4)
    assert live.transport._client._proxy is not None
    await change(edge, PROXY=None)
    assert live.transport._client._proxy is None


async def test_the_sites_proxy_is_used_by_the_next_call(edge, lent, key):
    assert (await edge.chat(key.text)).status == 200
    await change(edge, PROXY="http://127.0.0.1:9", RETRY_429_ENABLED=False)
    assert (await edge.chat(key.text)).status == 502
    await change(edge, PROXY=None)
    assert (await edge.chat(key.text)).status == 200


async def test_thoughts_and_variants_are_as_chosen_for_the_next_call(edge):
    await change(edge, LIST_VARIANTS=True, RETURN_THOUGHTS_TO_FRONTEND=False)
    assert (edge.runtime.config.list_variants, edge.runtime.config.show_thoughts) == (True, False)


async def test_a_process_that_starts_later_works_with_it_too(edge):
    await change(edge, LIST_VARIANTS=True)
    await runtime.stop()
    site_settings.apply({})
    live = await runtime.start()
    assert live.config.list_variants is True
