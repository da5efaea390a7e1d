"""Whose turn it is. The windows are a few lines here; the real ones are in tests/quotas/test_limiter.py."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from apiproxy.pacing import Pacing, Ticket
from apiproxy.waiting import TooFast
from gateway.lib.errors import LedgerUnavailable
from quotas.limiter import Granted, Refused, Release, Take
from quotas.terms import Terms

GROUP = Terms("g1", concurrency=1)
_numbers = itertools.count()


class Windows(Pacing):
    """Only as many at the same time as `concurrency` says, in Redis or in the database."""

    def __init__(self, **options):
        options = {"wait_s": 5.0, "most_waiting": 20, "redis_url": ""} | options
        super().__init__(writer=None, clock=lambda: 0.0, **options)
        self.running = Counter()
        self.asked = []
        self.failure = None
        self.slow = None
        self.redis_is_away = False
        self.last_wait_s = 0.0

    def _ask(self, item, *, in_redis):
        self.asked.append((item, in_redis))
        answer = asyncio.get_running_loop().create_future()
        if self.failure or (in_redis and self.redis_is_away):
            answer.set_exception(self.failure or RedisConnectionError("away"))
        elif self.slow is not None and isinstance(item, Take):
            self.slow.append((item, answer))
        else:
            answer.set_result(self.decide(item))
        return answer

    def decide(self, item):
        if isinstance(item, Release):
            self.running.subtract(item.scopes)
            return None
        for terms in item.terms:
            if terms.tpm is not None and item.tokens > terms.tpm:
                return Refused(terms.scope, "tpm", terms.tpm, 0, 60.0, hopeless=True)
            if self.running[terms.scope] >= terms.concurrency:
                used = self.running[terms.scope]
                return Refused(
                    terms.scope, "concurrency", terms.concurrency, used, self.last_wait_s
                )
        self.running.update(item.scopes)
        return Granted(days=(None,) * len(item.terms))


@pytest.fixture
def pacing():
    return Windows()


def take_of(*terms, tokens=0):
    return Take(f"req_{next(_numbers)}", terms or (GROUP,), tokens)


async def passed(pacing, *terms):
    ticket = await pacing.take(take_of(*terms))
    assert isinstance(ticket, Ticket)
    return ticket


class Call:
    """One that waits; `order` gets its name when it passes."""

    def __init__(self, pacing, person, order, *terms, name=None):
        self.take = take_of(*terms)
        self.ticket = None
        self._pacing, self._person, self._order = pacing, person, order
        self._name = name or person
        self.task = asyncio.ensure_future(self._run())

    async def _run(self):
        refused = await self._pacing.take(self.take)
        assert isinstance(refused, Refused)
        self.ticket = await self._pacing.wait(self.take, self._person, refused)
        self._order.append(self._name)
        self._pacing.release(self.ticket, tokens=0)


async def until(true):
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)


async def queued(pacing, *calls):
    for call in calls:
        await until(lambda call=call: call.take.request_id in waiting(pacing))


def waiting(pacing):
    return {
        one.take.request_id
        for queue in pacing._queues.values()
        for line in queue.lines.values()
        for one in line
    }


async def idle(pacing):
    await until(lambda: not pacing._queues)


async def test_people_take_turns_whoever_sent_how_many(pacing):
    order = []
    first = await passed(pacing, GROUP)
    calls = [
        Call(pacing, person, order, name=f"{person}{n}") for person in ("alice",) for n in range(4)
    ]
    await queued(pacing, *calls)
    calls += [Call(pacing, person, order, name=f"{person}0") for person in ("bob", "charlie")]
    calls.append(Call(pacing, "bob", order, name="bob1"))
    await queued(pacing, *calls)
    pacing.release(first, tokens=0)
    await asyncio.gather(*(call.task for call in calls))
    assert order == ["alice0", "bob0", "charlie0", "alice1", "bob1", "alice2", "alice3"]
    await idle(pacing)
    assert not +pacing.running


async def test_who_comes_later_does_not_overtake(pacing):
    order = []
    first = await passed(pacing, GROUP)
    call = Call(pacing, "alice", order)
    await queued(pacing, call)
    pacing.release(first, tokens=0)
    # There is room by now, and somebody's turn.
    late = await pacing.take(take_of(GROUP))
    assert isinstance(late, Refused)
    assert late.scope == "g1"
    await call.task
    await idle(pacing)
    await passed(pacing, GROUP)


async def test_whoever_waits_for_a_limit_of_its_own_holds_up_nobody(pacing):
    order = []
    shared, own = Terms("g1", concurrency=2), Terms("k1", concurrency=1)
    others = [await passed(pacing, own, shared), await passed(pacing, shared)]
    alice = Call(pacing, "alice", order, shared, own)
    await queued(pacing, alice)
    bob = Call(pacing, "bob", order, shared)
    await queued(pacing, bob)
    pacing.release(others[1], tokens=0)
    await bob.task
    assert order == ["bob"]
    pacing.release(others[0], tokens=0)
    await alice.task


async def test_somebody_else_is_refused_by_the_limit_that_concerns_him(pacing):
    """Who waits in the group's queue may by now be held up by a key that is nobody else's."""
    order = []
    own = Terms("k1", concurrency=1)
    others = [await passed(pacing, GROUP), await passed(pacing, own)]
    alice = Call(pacing, "alice", order, GROUP, own)
    await queued(pacing, alice)
    pacing.release(others[0], tokens=0)
    await until(lambda: pacing._queues["g1"].heads()[0].refused.scope == "k1")
    refused = await pacing.take(take_of(GROUP))
    assert refused.scope == "g1"
    # He passes nevertheless, as it is his turn now.
    ticket = await pacing.wait(take_of(GROUP), "bob", refused)
    assert not order
    pacing.release(ticket, tokens=0)
    pacing.release(others[1], tokens=0)
    await alice.task


async def test_a_wait_that_is_over_says_which_limit_of_whom():
    pacing = Windows(wait_s=0.02)
    await passed(pacing, GROUP)
    with pytest.raises(TooFast, match="its owner's group is 1 calls at the same time, 1 are taken"):
        await pacing.wait(take_of(GROUP), "alice", await pacing.take(take_of(GROUP)))
    await idle(pacing)
    assert pacing.running["g1"] == 1


async def test_nobody_waits_where_no_wait_is_wanted():
    pacing = Windows(wait_s=0.0)
    await passed(pacing, GROUP)
    with pytest.raises(TooFast):
        await pacing.wait(take_of(GROUP), "alice", await pacing.take(take_of(GROUP)))
    assert not pacing._queues


async def test_nobody_waits_longer_than_it_is_worth_while(pacing):
    await passed(pacing, GROUP)
    for refused in (
        Refused("g1", "rpm", 1, 1, 30.0),
        Refused("g1", "rpd", 1, 1, 2.0),
        Refused("g1", "tpm", 1, 0, 1.0, hopeless=True),
    ):
        with pytest.raises(TooFast) as caught:
            await pacing.wait(take_of(GROUP), "alice", refused)
        # Clients that repeat by themselves are told when it would be in vain.
        in_vain = refused.hopeless or refused.pace == "rpd"
        assert bool(caught.value.headers) is in_vain
        assert (caught.value.retry_after_s is None) is refused.hopeless
    assert not pacing._queues


async def test_who_finds_out_while_waiting_that_it_takes_too_long_is_told_at_once(pacing):
    order = []
    first = await passed(pacing, GROUP)
    call = Call(pacing, "alice", order)
    await queued(pacing, call)
    pacing.last_wait_s = 30.0
    pacing._queues["g1"].woken.set()
    with pytest.raises(TooFast) as caught:
        await call.task
    assert caught.value.retry_after_s == 30.0
    pacing.release(first, tokens=0)


async def test_a_person_has_so_many_places(pacing):
    pacing.most_waiting = 2
    order = []
    first = await passed(pacing, GROUP)
    calls = [Call(pacing, "alice", order) for _ in range(2)]
    await queued(pacing, *calls)
    with pytest.raises(TooFast, match="2 calls wait already"):
        await pacing.wait(take_of(GROUP), "alice", await pacing.take(take_of(GROUP)))
    bob = Call(pacing, "bob", order)
    await queued(pacing, bob)
    pacing.release(first, tokens=0)
    await asyncio.gather(*(call.task for call in (*calls, bob)))
    assert order == ["alice", "bob", "alice"]


async def test_who_leaves_the_queue_frees_the_place_and_takes_nothing(pacing):
    order = []
    first = await passed(pacing, GROUP)
    gone, stays = Call(pacing, "alice", order), Call(pacing, "alice", order, name="stays")
    await queued(pacing, gone, stays)
    gone.task.cancel()
    await asyncio.gather(gone.task, return_exceptions=True)
    assert len(waiting(pacing)) == 1
    pacing.release(first, tokens=0)
    await stays.task
    assert order == ["stays"]
    await idle(pacing)
    assert not +pacing.running
    assert not pacing._running


@pytest.mark.parametrize("waits", [False, True])
async def test_what_is_granted_to_somebody_who_left_goes_back(pacing, waits):
    """The windows have not answered yet when the client leaves."""
    pacing.slow = []
    take = take_of(GROUP)
    refused = Refused("g1", "concurrency", 1, 1, 0.0)
    calling = pacing.wait(take, "alice", refused) if waits else pacing.take(take)
    task = asyncio.ensure_future(calling)
    await until(lambda: pacing.slow)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    [(asked, answer)] = pacing.slow
    answer.set_result(pacing.decide(asked))
    await idle(pacing)
    await asyncio.sleep(0)
    assert not +pacing.running
    assert not pacing._running
    [undone] = [item for item, _ in pacing.asked if isinstance(item, Release)]
    assert undone.undone


async def test_a_database_that_is_away_ends_every_wait(pacing):
    order = []
    await passed(pacing, GROUP)
    calls = [Call(pacing, person, order) for person in ("alice", "bob")]
    await queued(pacing, *calls)
    pacing.failure = LedgerUnavailable("away")
    pacing._queues["g1"].woken.set()
    failures = await asyncio.gather(*(call.task for call in calls), return_exceptions=True)
    assert all(isinstance(failure, LedgerUnavailable) for failure in failures)
    await idle(pacing)
    assert not order


async def test_while_redis_is_away_the_database_counts_and_it_is_said_once_each_way(
    monkeypatch, caplog
):
    pacing = Windows(redis_url="redis://127.0.0.1:1/0")
    terms = Terms("k1", concurrency=100)
    assert (await passed(pacing, terms)).in_redis
    pacing.redis_is_away = True
    tickets = [await passed(pacing, terms) for _ in range(5)]
    assert not any(ticket.in_redis for ticket in tickets)
    assert sum(in_redis for _, in_redis in pacing.asked) == 2  # one that passed, one that failed
    pacing.redis_is_away = False
    pacing._next_try = 0.0
    back = await passed(pacing, terms)
    assert back.in_redis
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "away" in said[0]
    assert "back" in said[1]
    # Each call ends where it began.
    pacing.asked.clear()
    for ticket in (*tickets, back):
        pacing.release(ticket, tokens=3)
    assert [in_redis for _, in_redis in pacing.asked] == [False] * 5 + [True]
    await pacing.stop()
