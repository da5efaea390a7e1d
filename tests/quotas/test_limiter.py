"""Both backends by the same cases, and against a model that remembers everything."""

from __future__ import annotations

import asyncio
import random

import pytest

from quotas import limiter_database, limiter_redis
from quotas.limiter import LEASE_S, WINDOW_S, Granted, Refused, Release, Renew, Take
from quotas.models import Passage
from quotas.terms import Terms

pytestmark = pytest.mark.django_db(transaction=True)


class OnDatabase:
    def __init__(self, monkeypatch):
        self.now = 1_800_000_000.0
        monkeypatch.setattr(limiter_database, "_now", lambda cursor: self.now)
        # What an earlier test forgot to clean is not this one's.
        monkeypatch.setattr(limiter_database, "_next_cleaning", 0.0)

    def decide(self, *items):
        return limiter_database.decide(items)


class OnRedis:
    """Redis' own clock stands behind the script; here it is set by hand."""

    def __init__(self, url, monkeypatch):
        self.now = 1_800_000_000.0
        self._url = url
        monkeypatch.setattr(limiter_redis.time, "time", lambda: self.now)
        by_hand = "local function now() return tonumber(redis.call('GET', 'now')) end"
        monkeypatch.setattr(limiter_redis, "_NOW", by_hand)

    def decide(self, *items):
        async def once():
            limiter = limiter_redis.RedisLimiter(self._url)
            await limiter._client.set("now", repr(self.now))
            try:
                return await limiter.decide(items)
            finally:
                await limiter.close()

        return asyncio.run(once())


class Windows:
    """One backend, and what it granted."""

    def __init__(self, backend):
        self._backend = backend
        self.decide = backend.decide
        self._granted = {}

    @property
    def now(self):
        return self._backend.now

    @now.setter
    def now(self, now):
        self._backend.now = now

    def take(self, take):
        [outcome] = self.decide(take)
        if isinstance(outcome, Granted):
            self._granted[take.request_id] = outcome
        return outcome

    def end(self, take, tokens=0, undone=False):
        granted = self._granted.get(take.request_id)
        days = granted.days if granted else ()
        return Release(take.request_id, take.scopes, tokens, undone, days)

    def release(self, take, tokens, undone=False):
        assert self.decide(self.end(take, tokens, undone)) == [None]

    def renew(self, *takes):
        renew = Renew(tuple(t.request_id for t in takes), tuple(t.scopes for t in takes))
        assert self.decide(renew) == [None]


@pytest.fixture(params=["database", "redis"])
def windows(request, monkeypatch):
    if request.param == "database":
        return Windows(OnDatabase(monkeypatch))
    import redis

    url = request.getfixturevalue("redis_url")
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return Windows(OnRedis(url, monkeypatch))


_numbers = iter(range(10**9))


def ask(*terms, tokens=0):
    return Take(f"req_{next(_numbers)}", terms, tokens)


def test_a_minute_slides(windows):
    terms = Terms("k1", rpm=2)
    assert isinstance(windows.take(ask(terms)), Granted)
    windows.now += 40
    assert windows.take(ask(terms)).requests.remaining == 0
    refused = windows.take(ask(terms))
    assert (refused.scope, refused.pace, refused.limit, refused.used) == ("k1", "rpm", 2, 2)
    assert refused.retry_after_s == pytest.approx(20, abs=0.01)
    windows.now += 20.01
    assert isinstance(windows.take(ask(terms)), Granted)
    assert windows.take(ask(terms)).retry_after_s == pytest.approx(40, abs=0.02)


def test_all_scopes_or_none(windows):
    key, group = Terms("k1", rpm=10), Terms("g1", rpm=1)
    assert isinstance(windows.take(ask(key, group)), Granted)
    assert windows.take(ask(key, group)).scope == "g1"
    # The refused call was counted nowhere.
    assert windows.take(ask(key)).requests.remaining == 8


def test_tokens_are_estimated_and_then_known(windows):
    terms = Terms("k1", tpm=100)
    first = ask(terms, tokens=60)
    assert windows.take(first).tokens.remaining == 40
    assert windows.take(ask(terms, tokens=50)).pace == "tpm"
    windows.release(first, tokens=20)
    assert windows.take(ask(terms, tokens=50)).tokens.remaining == 30
    assert windows.take(ask(terms, tokens=101)).hopeless


def test_how_long_until_enough_tokens_left_the_window(windows):
    terms = Terms("k1", tpm=100)
    for tokens in (30, 30, 40):
        windows.take(ask(terms, tokens=tokens))
        windows.now += 10
    refused = windows.take(ask(terms, tokens=50))
    assert refused.retry_after_s == pytest.approx(40, abs=0.01)


def test_calls_at_the_same_time(windows):
    terms = Terms("k1", concurrency=2)
    first, second = ask(terms), ask(terms)
    assert isinstance(windows.take(first), Granted)
    assert isinstance(windows.take(second), Granted)
    assert windows.take(ask(terms)).pace == "concurrency"
    windows.release(first, tokens=5)
    assert isinstance(windows.take(ask(terms)), Granted)
    assert windows.take(ask(terms)).pace == "concurrency"


def test_a_call_that_nobody_renews_stops_to_count(windows):
    terms = Terms("k1", concurrency=1)
    lives = ask(terms)
    windows.take(lives)
    windows.now += LEASE_S - 1
    windows.renew(lives)
    windows.now += LEASE_S - 1
    assert windows.take(ask(terms)).pace == "concurrency"
    windows.now += 2
    assert isinstance(windows.take(ask(terms)), Granted)


def test_a_day_begins_at_midnight_there(windows):
    terms = Terms("k1", rpd=2, time_zone="Asia/Shanghai")
    for _ in range(2):
        windows.take(ask(terms))
    refused = windows.take(ask(terms))
    assert refused.pace == "rpd"
    # 1,800,000,000 is 16:00 in Shanghai.
    assert refused.retry_after_s == pytest.approx(8 * 3600, abs=1)
    windows.now += refused.retry_after_s + 1
    assert windows.take(ask(terms)).requests.remaining == 1


def test_what_was_not_admitted_counts_for_nothing(windows):
    terms = Terms("k1", rpm=1, rpd=1, tpm=10, concurrency=1)
    first = ask(terms, tokens=10)
    windows.take(first)
    windows.release(first, tokens=0, undone=True)
    assert isinstance(windows.take(ask(terms, tokens=10)), Granted)
    assert isinstance(windows.take(ask(terms, tokens=10)), Refused)


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_clock_that_is_set_keeps_nobody_out_for_longer_than_a_window(windows, step_s):
    terms = Terms("k1", rpm=2, tpm=10, concurrency=2)
    for _ in range(2):
        windows.take(ask(terms, tokens=5))
    windows.now += step_s
    assert isinstance(windows.take(ask(terms, tokens=5)), Granted)
    assert isinstance(windows.take(ask(terms, tokens=5)), Granted)
    assert isinstance(windows.take(ask(terms, tokens=5)), Refused)
    windows.now += WINDOW_S + 1
    assert isinstance(windows.take(ask(terms, tokens=5)), Granted)


def test_against_a_model_that_remembers_everything(windows):
    chance = random.Random(7)
    scopes = [
        Terms("k1", rpm=4, concurrency=2),
        Terms("k2", tpm=50),
        Terms("u1", rpm=6, tpm=90, concurrency=3),
    ]
    passed = {terms.scope: [] for terms in scopes}
    running = {}
    for _ in range(150):
        windows.now += chance.uniform(0, 8)
        now = windows.now
        if running and chance.random() < 0.5:
            take = chance.choice(list(running))
            tokens = chance.randrange(30)
            windows.release(take, tokens=tokens)
            for row in running.pop(take):
                row[1], row[2] = tokens, 0
            continue
        terms = chance.choice([scopes[:1], scopes[1:], scopes[::2], scopes[:2]])
        take = ask(*terms, tokens=chance.randrange(25))
        allowed = all(_allows(one, passed[one.scope], take.tokens, now) for one in terms)
        outcome = windows.take(take)
        assert isinstance(outcome, Granted) is allowed
        if allowed:
            running[take] = rows = [[now, take.tokens, now + LEASE_S] for _ in terms]
            for one, row in zip(terms, rows, strict=True):
                passed[one.scope].append(row)


def _allows(terms, rows, tokens, now):
    window = [row for row in rows if row[0] > now - WINDOW_S]
    if terms.rpm is not None and len(window) >= terms.rpm:
        return False
    if terms.tpm is not None and sum(row[1] for row in window) + tokens > terms.tpm:
        return False
    runs = sum(row[2] > now for row in rows)
    return terms.concurrency is None or runs < terms.concurrency


def test_in_one_batch_what_ends_makes_room_for_what_comes_after_it(windows):
    terms = Terms("k1", concurrency=1, tpm=10)
    first, second, third = (ask(terms, tokens=8) for _ in range(3))
    windows.take(first)
    refused, told, granted, last = windows.decide(second, windows.end(first, 1), third, ask(terms))
    assert told is None
    assert isinstance(refused, Refused)
    assert isinstance(granted, Granted)
    assert last.pace == "concurrency"


def test_the_end_of_a_call_whose_lease_ran_out_makes_no_more_room(windows):
    terms = Terms("k1", concurrency=1)
    lost, second = ask(terms), ask(terms)
    windows.take(lost)
    windows.now += LEASE_S + 1
    windows.take(second)
    assert windows.decide(windows.end(lost), ask(terms))[1].pace == "concurrency"


def test_undoing_touches_only_the_day_it_was_counted_in(windows):
    terms = Terms("k1", rpd=2)
    yesterday, today = ask(terms), ask(terms)
    windows.take(yesterday)
    windows.now += 24 * 3600
    windows.take(today)
    windows.decide(windows.end(yesterday, undone=True))
    assert isinstance(windows.take(ask(terms)), Granted)
    assert windows.take(ask(terms)).pace == "rpd"


@pytest.mark.parametrize("limits", [{"rpm": 0}, {"concurrency": 0}, {"rpd": 0}])
def test_nothing_at_all_may_be_allowed(windows, limits):
    refused = windows.take(ask(Terms("k1", **limits)))
    assert refused.limit == 0
    assert refused.hopeless is ("rpd" not in limits)


def test_a_running_call_still_counts_after_the_clock_was_set_back_and_it_was_renewed(windows):
    terms = Terms("k1", concurrency=1)
    runs = ask(terms)
    windows.take(runs)
    windows.now -= 3600
    windows.renew(runs)
    assert windows.take(ask(terms)).pace == "concurrency"
    windows.release(runs, 0)
    assert isinstance(windows.take(ask(terms)), Granted)


def test_what_left_every_window_is_deleted(monkeypatch):
    windows = Windows(OnDatabase(monkeypatch))
    terms = Terms("k1", rpm=10, concurrency=5)
    old, runs = ask(terms), ask(terms)
    windows.take(old)
    windows.take(runs)
    windows.release(old, 0)
    for _ in range(3):
        windows.now += LEASE_S / 2
        windows.renew(runs)
    monkeypatch.setattr(limiter_database, "_next_cleaning", 0.0)
    windows.take(ask(Terms("k2", rpm=1)))
    left = set(Passage.objects.filter(scope="k1").values_list("request_id", flat=True))
    assert left == {runs.request_id}


def test_redis_forgets_by_itself(redis_url, monkeypatch):
    import redis

    windows = Windows(OnRedis(redis_url, monkeypatch))
    windows.take(ask(Terms("k1", rpm=10, rpd=5, tpm=10, concurrency=5)))
    with redis.Redis.from_url(redis_url) as client:
        keys = client.keys("wellspring:pace:*")
        assert len(keys) == 5
        assert all(0 < client.ttl(key) <= 25 * 3600 for key in keys)
        client.flushdb()


def test_a_day_that_only_a_wrong_clock_saw_closes_no_limit_until_then(windows):
    terms = Terms("k1", rpd=2)
    windows.now += 400 * 24 * 3600
    windows.take(ask(terms))
    windows.now -= 400 * 24 * 3600
    windows.take(ask(terms))
    windows.take(ask(terms))
    refused = windows.take(ask(terms))
    assert (refused.pace, refused.used) == ("rpd", 2)
    assert refused.retry_after_s <= 24 * 3600
    windows.now += 24 * 3600
    assert isinstance(windows.take(ask(terms)), Granted)


def test_a_call_that_asks_redis_again_is_counted_once(redis_url, monkeypatch):
    """Its first answer came too late, so it asked the database meanwhile."""
    import redis

    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    windows = Windows(OnRedis(redis_url, monkeypatch))
    terms = Terms("k1", tpm=100, concurrency=1)
    again = ask(terms, tokens=40)
    windows.take(again)
    assert windows.take(again).tokens.remaining == 60
    windows.release(again, tokens=40)
    windows.now += WINDOW_S / 2
    # As long as somebody calls, nothing expires by itself.
    other = ask(terms, tokens=1)
    windows.take(other)
    windows.release(other, tokens=1)
    windows.now += WINDOW_S / 2
    assert windows.take(ask(terms, tokens=1)).tokens.remaining == 98
