"""What pages tell of the limiter's windows is what the limiter counts, in Redis and in the database."""

from __future__ import annotations

from quotas import limiter_database, windows
from quotas.limiter import Release, Take
from quotas.limiter_redis import RedisLimiter
from quotas.periods import day_of
from quotas.terms import Terms
from quotas.windows import Passed

KEY = Terms("k7", rpm=10, rpd=10, tpm=1000, concurrency=5)
FREE = Terms("u3")


def test_nothing_is_asked_for_those_without_a_pace(django_assert_num_queries, db):
    with django_assert_num_queries(0):
        assert windows.passed([FREE]) == {}


def test_the_database(transactional_db):
    limiter_database.decide([Take("a", (KEY,), 40), Take("b", (KEY,), 50)])
    limiter_database.decide([Release("a", ("k7",), 100)])
    assert windows.passed([KEY, FREE]) == {"k7": Passed(2, 150, 1, 2)}


def test_a_day_that_is_over_counts_nothing(transactional_db, monkeypatch):
    limiter_database.decide([Take("a", (KEY,), 40)])
    monkeypatch.setattr(windows, "day_of", lambda at, zone: day_of(at, zone) + 1)
    assert windows.passed([KEY])["k7"].calls == 0


async def test_redis(redis_url, settings):
    settings.REDIS_URL = redis_url
    limiter = RedisLimiter(redis_url)
    await limiter.decide([Take("a", (KEY,), 40), Take("b", (KEY,), 50), Release("a", ("k7",), 100)])
    await limiter.close()
    assert windows.passed([KEY]) == {"k7": Passed(2, 150, 1, 2)}


def test_while_redis_is_away_the_database_is_asked(transactional_db, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    limiter_database.decide([Take("a", (KEY,), 40)])
    assert windows.passed([KEY])["k7"].requests == 1
