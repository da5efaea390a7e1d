"""Group commit, and what it does when the database is away."""

from __future__ import annotations

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.db import DataError, OperationalError

from apiproxy import writer as module
from apiproxy.writer import Writer
from gateway.lib.errors import LedgerUnavailable
from quotas import ledger, selectors, services
from quotas.ledger import Close, Reserve
from quotas.models import Hold
from quotas.terms import Account


@pytest.fixture
def balance(database):
    return services.open_balance(total_micros=1_000)


@pytest.fixture
async def writer(balance):
    writer = Writer("holder")
    writer.start()
    yield writer
    await writer.stop()


async def proves():
    return (await sync_to_async(selectors.prove)())[1] == []


async def test_what_waits_together_is_booked_together(writer, balance, monkeypatch):
    batches = []
    book = ledger.book

    def counted(reserves, closes, **options):
        batches.append(len(reserves))
        return book(reserves, closes, **options)

    monkeypatch.setattr(ledger, "book", counted)
    futures = [writer.reserve(Reserve(f"r{n}", (Account(balance.pk),), 10)) for n in range(50)]
    outcomes = await asyncio.gather(*futures)
    assert batches == [50]
    assert all(outcome.accepted for outcome in outcomes)
    closes = [writer.close(Close(f"r{n}", 10, "answered")) for n in range(50)]
    assert (await asyncio.gather(*closes))[-1].remaining_micros == 500
    assert await proves()


async def test_only_as_many_as_can_pay_are_let_in(writer, balance):
    futures = [writer.reserve(Reserve(f"r{n}", (Account(balance.pk),), 100)) for n in range(200)]
    outcomes = await asyncio.gather(*futures)
    assert sum(outcome.accepted for outcome in outcomes) == 10


async def test_a_call_given_up_while_it_reserves_leaves_nothing_reserved(writer, balance):
    waiting = writer.reserve(Reserve("r1", (Account(balance.pk),), 100))
    waiting.cancel()
    await writer.close(Close("r1", 0, "given up"))
    assert not await sync_to_async(Hold.objects.exists)()
    assert await proves()


class Away:
    """A database that fails for the next so many batches."""

    def __init__(self, monkeypatch, times):
        self.left = times
        book = ledger.book

        def failing(*args, **options):
            if self.left:
                self.left -= 1
                raise OperationalError("gone")
            return book(*args, **options)

        monkeypatch.setattr(ledger, "book", failing)
        monkeypatch.setattr(module, "_RETRY_PAUSES_S", (0.01,) * 5)


async def test_a_reservation_fails_in_words_when_the_database_is_away(writer, balance, monkeypatch):
    Away(monkeypatch, 1)
    with pytest.raises(LedgerUnavailable, match="nothing was charged"):
        await writer.reserve(Reserve("r1", (Account(balance.pk),), 100))
    assert (await writer.reserve(Reserve("r2", (Account(balance.pk),), 100))).accepted


async def test_a_charge_is_repeated_until_the_database_has_it(writer, balance, monkeypatch):
    await writer.reserve(Reserve("r1", (Account(balance.pk),), 100))
    Away(monkeypatch, 3)
    booked = await writer.close(Close("r1", 100, "answered"))
    assert not booked.accepted
    await writer.stop()
    assert (await sync_to_async(selectors.receipt)("r1")).settled_micros == 100
    assert await proves()


async def test_what_waits_is_written_before_the_end(balance):
    writer = Writer("holder")
    writer.start()
    rows = []
    writer.behind(rows.extend, "row")
    writer.reserve(Reserve("r1", (Account(balance.pk),), 100))
    await writer.stop()
    assert rows == ["row"]
    assert await sync_to_async(Hold.objects.count)() == 1
    await sync_to_async(services.sweep)(lease_s=0)


async def test_rows_written_behind_survive_a_passing_failure(writer):
    rows, failures, written = [], [OperationalError("gone")], threading.Event()

    def write(batch):
        if failures:
            raise failures.pop()
        rows.extend(batch)
        written.set()

    writer.behind(write, 1)
    writer.behind(write, 2)
    await asyncio.to_thread(written.wait, 10)
    assert rows == [1, 2]


async def test_a_bug_in_one_batch_does_not_end_the_writer(writer, balance, monkeypatch):
    book = ledger.book
    failures = [OverflowError("too large for a column")]

    def failing(*args, **options):
        if failures:
            raise failures.pop()
        return book(*args, **options)

    monkeypatch.setattr(ledger, "book", failing)
    with pytest.raises(LedgerUnavailable):
        await writer.reserve(Reserve("r1", (Account(balance.pk),), 100))
    assert (await writer.reserve(Reserve("r2", (Account(balance.pk),), 100))).accepted


async def test_a_row_that_cannot_be_written_costs_only_itself(writer, monkeypatch):
    monkeypatch.setattr(module, "_RETRY_PAUSES_S", (0.01,) * 5)
    rows, done = [], threading.Event()

    def write(batch):
        if "poison" in batch:
            raise DataError("no such thing as NUL")
        rows.extend(batch)
        if len(rows) == 2:
            done.set()

    for row in ("before", "poison", "after"):
        writer.behind(write, row)
    assert await asyncio.to_thread(done.wait, 10)
    assert rows == ["before", "after"]


async def test_questions_that_wait_together_are_decided_together(writer):
    asked = []

    def decide(items):
        asked.append(items)
        return [item * 2 for item in items]

    outcomes = await asyncio.gather(*(writer.ask(decide, n) for n in range(50)))
    assert asked == [list(range(50))]
    assert outcomes == [2 * n for n in range(50)]


async def test_a_question_fails_in_words_when_the_database_is_away(writer):
    failures = [OperationalError("gone")]

    def decide(items):
        if failures:
            raise failures.pop()
        return items

    with pytest.raises(LedgerUnavailable, match="nothing was charged"):
        await writer.ask(decide, 1)
    assert await writer.ask(decide, 2) == 2


async def test_a_question_that_cannot_be_decided_holds_up_no_other(writer):
    def decide(items):
        if "poison" in items:
            raise DataError("no such credential")
        return items

    futures = [writer.ask(decide, item) for item in ("before", "poison", "after")]
    before, poison, after = await asyncio.gather(*futures, return_exceptions=True)
    assert (before, after) == ("before", "after")
    assert isinstance(poison, LedgerUnavailable)
