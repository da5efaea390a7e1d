"""What reaches a running process, and how."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection

from apiproxy import asgi, feed, runtime, selectors
from apiproxy.models import CatalogueModel
from credentials.models import Credential, ModelState
from credentials.services import apply_verdicts, set_state
from credentials.states import Event, StateMove
from gateway.lib.errors import PoolExhausted, UnknownModel
from quotas.models import Price

GEMINI = ("gemini_api",)


async def update(edge):
    await edge.runtime.feed.update()


def usable(edge, model="gemini-2.5-flash"):
    return edge.runtime.pool.usable(model, GEMINI)


async def test_nothing_new_is_one_query(edge, lent, django_assert_num_queries):
    await update(edge)
    seen = edge.runtime.feed._seen

    def read():
        with django_assert_num_queries(1):
            return selectors.changes_since(seen)

    changes = await sync_to_async(read)()
    assert changes.credentials == ()
    assert changes.catalogue is None


async def test_a_lent_credential_joins_the_pool_and_a_disabled_one_leaves(edge, lent):
    await update(edge)
    assert usable(edge) == 2
    await sync_to_async(set_state)(credential_id=lent[0], event=Event.DISABLED)
    await update(edge)
    assert usable(edge) == 1
    await sync_to_async(set_state)(credential_id=lent[0], event=Event.ENABLED)
    await update(edge)
    assert usable(edge) == 2


async def test_a_rest_found_by_another_process_counts_here(edge, lent):
    until = edge.runtime.feed._clock() + 600
    moves = [
        StateMove(credential_id=lent[0], event=Event.QUOTA, model="gemini-2.5-flash", until=until),
        StateMove(credential_id=lent[1], event=Event.RATE, until=until, whole=True),
    ]
    await sync_to_async(apply_verdicts)(changes=moves)
    await update(edge)
    assert usable(edge) == 0
    assert usable(edge, "gemini-2.5-pro") == 1
    with pytest.raises(PoolExhausted) as raised:
        edge.runtime.pool.acquire("gemini-2.5-flash", GEMINI)
    assert 500 < raised.value.retry_after_s <= 601


async def test_what_this_process_just_learnt_is_not_undone_by_what_it_reads(edge, fake, lent, key):
    await update(edge)
    fake.script("error", error="quota_minute")
    edge.runtime.writer._hand_over_behind = lambda: None  # the verdicts stay unwritten for now
    await edge.chat(key.text)
    assert usable(edge) == 0
    await sync_to_async(lambda: Credential.objects.get(pk=lent[0]).save())()
    await update(edge)
    assert usable(edge) == 0


HELLO = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hello"}]}


async def test_what_is_learnt_and_written_while_a_reading_runs_is_not_undone_by_it(
    edge, fake, lent, key, monkeypatch
):
    await edge.runtime.feed.stop()
    await update(edge)
    fake.script("error", error="quota_minute")
    read = selectors.changes_since
    has_read, may_go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slowly(seen):
        Credential.objects.get(pk=lent[0]).save()
        changes = read(seen)
        loop.call_soon_threadsafe(has_read.set)
        may_go_on.wait(10)
        return changes

    monkeypatch.setattr(selectors, "changes_since", slowly)
    monkeypatch.setattr(
        feed, "database_sync_to_async", partial(sync_to_async, thread_sensitive=False)
    )
    reading = asyncio.ensure_future(update(edge))
    await has_read.wait()
    # Not by `edge.chat`, which waits for a reading of its own.
    call = edge.exchange("POST", "/v1/chat/completions", key=key.text, body=HELLO)
    await asgi.application(call.scope, call.receive, call.send)
    edge.runtime.writer._hand_over_behind()
    for _ in range(500):
        if await sync_to_async(ModelState.objects.count)() == 2:
            break
        await asyncio.sleep(0.01)
    assert usable(edge) == 0
    may_go_on.set()
    await reading
    assert usable(edge) == 0
    monkeypatch.setattr(selectors, "changes_since", read)
    await update(edge)
    assert edge.runtime.recorder.unread() == []
    assert usable(edge) == 0


async def test_a_secret_that_cannot_be_read_is_left_out(edge, lent):
    def spoil():
        with_other_keys = "gAAAAAB" + "x" * 100
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE credentials_credential SET secret = %s WHERE id = %s",
                (with_other_keys, lent[0]),
            )

    await update(edge)
    await sync_to_async(spoil)()
    await sync_to_async(lambda: Credential.objects.get(pk=lent[0]).save(update_fields=["label"]))()
    await update(edge)
    assert usable(edge) == 1


async def test_models_and_prices_follow_the_database(edge):
    await sync_to_async(CatalogueModel.objects.create)(name="house-model", providers=["sandbox"])
    await sync_to_async(Price.objects.create)(pattern="house-*", per_call_micros=7)
    await update(edge)
    feed = edge.runtime.feed
    assert feed.catalogue.resolve("house-model").providers == ("sandbox",)
    assert feed.prices.of("house-model").per_call_micros == 7
    row = await sync_to_async(CatalogueModel.objects.get)(name="house-model")
    row.listed = False
    await sync_to_async(row.save)()
    await update(edge)
    with pytest.raises(UnknownModel):
        feed.catalogue.resolve("house-model")


async def test_a_database_that_is_away_is_said_once_and_followed_again(
    edge, lent, monkeypatch, caplog
):
    read = selectors.changes_since
    failures = [OperationalError("gone")] * 3
    caught_up = asyncio.Event()
    loop = asyncio.get_running_loop()

    def failing(seen):
        if failures:
            raise failures.pop()
        loop.call_soon_threadsafe(caught_up.set)
        return read(seen)

    monkeypatch.setattr(selectors, "changes_since", failing)
    async with asyncio.timeout(10):
        await caught_up.wait()
        # The next reading comes after the word about this one.
        caught_up.clear()
        await caught_up.wait()
    assert "the database is back" in caplog.text
    assert caplog.text.count("changes cannot be read") == 1


async def test_with_redis_a_change_is_read_at_once(fake, settings, database, redis_url):
    settings.REDIS_URL = redis_url
    settings.FEED_INTERVAL_S = 3600.0
    live = await runtime.start()
    try:
        async with asyncio.timeout(10):
            while live.feed.prices.of("nudged").per_call_micros != 9:
                await sync_to_async(Price.objects.update_or_create)(
                    pattern="nudged", defaults={"per_call_micros": 9}
                )
                await asyncio.sleep(0.05)
    finally:
        await runtime.stop()
