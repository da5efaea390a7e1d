"""Who takes a call: permits that are refused, trials that others wait for, conversations that stay."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from apiproxy.picking import Picker
from apiproxy.pool import BeingTried, Pool
from apiproxy.providers import gemini_api
from apiproxy.trace import Trace
from apiproxy.wire.types import OK, Action, Call, Credential, Fault, Head, Model, Verdict
from credentials.caps import Caps
from credentials.services.permits import Permit, Refusal
from gateway.lib.errors import LedgerUnavailable, PoolExhausted

MODEL = Model(id="m", providers=("gemini_api",))


class Toy(SimpleNamespace):
    """A provider whose upstream keeps conversations."""

    STICKY = True
    exchange, decoder, classify = gemini_api.exchange, gemini_api.decoder, gemini_api.classify


class Office:
    """Grants what it is told to."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked, self.returned = [], []

    async def take(self, lease):
        self.asked.append(lease)
        answer = self.answers.pop(0) if self.answers else Permit(lease.credential.id)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def give_back(self, permit, *, unserved, returned):
        self.returned.append((permit, unserved))
        if unserved:
            returned()


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def pool(now):
    return Pool(lambda: now[0])


def picker(pool, office, now, provider=gemini_api):
    return Picker(
        pool=pool, permits=office, clock=lambda: now[0], providers={"gemini_api": provider}
    )


def call(text="hello"):
    return Call(
        head=Head("req", 0.0),
        dialect="gemini",
        model=MODEL,
        requested_model="m",
        action=Action.GENERATE,
        stream=False,
        body={
            "contents": [
                {"role": "user", "parts": [{"text": text}]},
                {"role": "model", "parts": [{"text": "and then?"}]},
            ]
        },
    )


def trace(key_id=1):
    return Trace(request_id="req", started_at=0.0, started=0.0, dialect="gemini", key_id=key_id)


def lend(pool, *ids, **options):
    for pk in ids:
        pool.put(Credential(id=pk, provider="gemini_api", token="t"), **options)


async def test_who_has_no_caps_asks_nobody(pool, now):
    lend(pool, 1)
    office = Office()
    lease, permit = await picker(pool, office, now).pick(call(), trace(), ())
    assert (lease.credential.id, permit.scopes, office.asked) == (1, (), [])


async def test_a_used_up_cap_passes_it_over_and_the_explanation_says_so(pool, now):
    lend(pool, 1, caps=Caps(calls_a_day=1000))
    lend(pool, 2)
    office, told = Office(Refusal("", spent=True, until=5000.0)), trace()
    for _ in range(3):
        lease, _ = await picker(pool, office, now).pick(call(), told, ())
        pool.release(lease, OK)
        assert lease.credential.id == 2
    assert len(office.asked) == 1
    now[0] = 4999.0
    assert pool.usable("m", ("gemini_api",)) == 1
    now[0] = 5000.0
    assert pool.usable("m", ("gemini_api",)) == 2
    assert told.attempts == []
    [skipped] = told.attempts_as_data()
    assert (skipped["credential"], skipped["outcome"], skipped["reason"]) == (
        1,
        "skipped",
        "cap_reached",
    )


async def test_a_call_given_back_makes_room_at_once(pool, now):
    lend(pool, 1, caps=Caps(calls_a_day=1))
    office = Office(Permit(1, scopes=("",)), Refusal("", spent=True, until=5000.0))
    chooser = picker(pool, office, now)
    lease, permit = await chooser.pick(call(), trace(), ())
    with pytest.raises(PoolExhausted):
        await chooser.pick(call(), trace(), ())
    pool.release(lease, Verdict(fault=Fault.RETRY))
    chooser.give_back(permit, unserved=True)
    assert office.returned == [(permit, True)]
    assert (await chooser.pick(call(), trace(), ()))[0].credential.id == 1


async def test_a_database_that_is_away_lets_no_capped_call_through(pool, now):
    lend(pool, 1, caps=Caps(calls_a_day=10))
    chooser = picker(pool, Office(LedgerUnavailable("gone")), now)
    with pytest.raises(LedgerUnavailable):
        await chooser.pick(call(), trace(), ())
    assert pool.in_flight() == 0
    assert (await chooser.pick(call(), trace(), ()))[0].credential.id == 1


class TestWhileItIsTried:
    @pytest.fixture
    def trial(self, pool, now):
        """The only credential, in the hands of the call that tries it."""
        lend(pool, 1)
        pool.rest(1, "", 1060.0)
        now[0] = 1060.0
        return pool.acquire("m", ("gemini_api",))

    async def test_others_wait_for_the_outcome(self, pool, now, trial):
        waiting = asyncio.ensure_future(picker(pool, Office(), now).pick(call(), trace(), ()))
        await asyncio.sleep(0)
        assert not waiting.done()
        pool.answered(trial)
        async with asyncio.timeout(10):
            lease, _ = await waiting
        assert lease.credential.id == 1

    async def test_when_it_fails_they_learn_until_when_it_rests(self, pool, now, trial):
        waiting = asyncio.ensure_future(picker(pool, Office(), now).pick(call(), trace(), ()))
        await asyncio.sleep(0)
        rests = Verdict(fault=Fault.COOL_DOWN, kind="rate", until=1120.0, whole=True)
        pool.release(trial, rests)
        async with asyncio.timeout(10):
            with pytest.raises(PoolExhausted, match="resting") as raised:
                await waiting
        assert raised.value.retry_after_s == 60.0

    async def test_they_do_not_wait_for_ever(self, pool, now, trial):
        waiting = asyncio.ensure_future(picker(pool, Office(), now).pick(call(), trace(), ()))
        await asyncio.sleep(0)
        now[0] += 5.0
        async with asyncio.timeout(10):
            with pytest.raises(BeingTried) as raised:
                await waiting
        assert raised.value.retry_after_s == 2.0


class TestConversations:
    async def served(self, pool, now, provider, *, text, key_id=1):
        lease, _ = await picker(pool, Office(), now, provider).pick(call(text), trace(key_id), ())
        pool.release(lease, OK)
        return lease.credential.id

    async def test_one_stays_with_its_credential_where_the_provider_wants_that(self, pool, now):
        lend(pool, *range(1, 11))
        ids = [await self.served(pool, now, Toy(), text="about cats") for _ in range(10)]
        assert len(set(ids)) == 1
        others = {await self.served(pool, now, Toy(), text=f"about {n}") for n in range(50)}
        assert len(others) > 5

    async def test_the_same_words_of_somebody_else_are_another_conversation(self, pool, now):
        lend(pool, *range(1, 11))
        ids = {await self.served(pool, now, Toy(), text="hi", key_id=n) for n in range(50)}
        assert len(ids) > 5

    async def test_no_provider_of_today_asks_for_it(self, pool, now):
        lend(pool, *range(1, 11))
        ids = {await self.served(pool, now, gemini_api, text="about cats") for _ in range(10)}
        assert len(ids) == 10
