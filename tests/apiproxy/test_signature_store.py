import asyncio
import logging
import secrets

import pytest

from apiproxy.signature_store import SignatureStore

MODEL = "gemini-3-flash-preview"


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def store(clock):
    """A store that is started; stopped after the test."""
    started = []

    def make(redis_url="", lifetime_s=60.0):
        made = SignatureStore(lifetime_s=lifetime_s, redis_url=redis_url, clock=clock)
        made.start()
        started.append(made)
        return made

    yield make
    for made in started:
        await made.stop()


def new_id():
    return f"call_{secrets.token_hex(8)}"


async def test_what_was_put_is_known(store):
    one = store()
    one.put(1, MODEL, "a", "sa")
    one.put(1, MODEL, "b", "sb")
    assert await one.known(1, MODEL, ["a", "b", "c"]) == {"a": "sa", "b": "sb"}


async def test_nobody_elses_key_knows_it(store):
    one = store()
    one.put(1, MODEL, "a", "sa")
    assert await one.known(2, MODEL, ["a"]) == {}


async def test_another_family_of_models_does_not_get_it(store):
    one = store()
    one.put(1, MODEL, "a", "sa")
    assert await one.known(1, "gemini-3.1-pro-preview", ["a"]) == {"a": "sa"}
    assert await one.known(1, "gemini-2.5-flash", ["a"]) == {}


async def test_it_is_forgotten_in_time(store, clock):
    one = store(lifetime_s=10)
    one.put(1, MODEL, "a", "sa")
    clock.now = 9
    assert await one.known(1, MODEL, ["a"])
    clock.now = 10
    assert not await one.known(1, MODEL, ["a"])


async def test_nothing_is_kept_where_the_time_is_zero(store, redis_url):
    one = store(redis_url, lifetime_s=0)
    one.put(1, MODEL, "a", "sa")
    assert not await one.known(1, MODEL, ["a"])


async def eventually_known(store, call_id):
    for _ in range(400):
        if found := await store.known(1, MODEL, [call_id]):
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("the other process never knows")


async def test_two_processes_share_through_redis(store, redis_url):
    one, other = store(redis_url), store(redis_url)
    call_id = new_id()
    one.put(1, MODEL, call_id, "s")
    assert await eventually_known(other, call_id) == {call_id: "s"}


async def test_what_was_put_last_is_written_before_the_end(store, redis_url):
    one, other = store(redis_url), store(redis_url)
    call_id = new_id()
    one.put(1, MODEL, call_id, "s")
    await one.stop()
    assert await other.known(1, MODEL, [call_id]) == {call_id: "s"}


async def test_redis_forgets_in_time_too(store, redis_url):
    one = store(redis_url, lifetime_s=3600)
    call_id = new_id()
    one.put(1, MODEL, call_id, "s")
    await eventually_known(store(redis_url), call_id)
    assert 3500 < await one._redis.ttl(f"wellspring:signature:1:{call_id}") <= 3600


async def test_a_history_costs_one_question(store, redis_url, monkeypatch):
    one, other = store(redis_url), store(redis_url)
    ids = [new_id() for _ in range(20)]
    for call_id in ids:
        one.put(1, MODEL, call_id, f"s {call_id}")
    await one.stop()
    asked = []
    mget = other._redis.mget
    monkeypatch.setattr(other._redis, "mget", lambda names: asked.append(names) or mget(names))
    assert len(await other.known(1, MODEL, [*ids, "long" * 100])) == 20
    assert [len(names) for names in asked] == [20]
    await other.known(1, MODEL, ids)
    assert len(asked) == 1


async def test_a_dead_redis_is_said_once_and_let_rest(store, clock, caplog):
    one = store("redis://127.0.0.1:1/0")
    one.put(1, MODEL, "mine", "s")
    with caplog.at_level(logging.WARNING, "apiproxy.signature_store"):
        assert await one.known(1, MODEL, ["mine", "theirs"]) == {"mine": "s"}
        clock.now = 100
        assert await one.known(1, MODEL, ["theirs"]) == {}
        await one._flush(one._redis)
    assert len(caplog.records) == 1


async def test_a_redis_that_comes_back_is_said(store, clock, caplog, redis_url):
    one = store(redis_url)
    living, one._redis = one._redis, store("redis://127.0.0.1:1/0")._redis
    with caplog.at_level(logging.WARNING, "apiproxy.signature_store"):
        await one.known(1, MODEL, ["a"])
        one._redis = living
        await one.known(1, MODEL, ["a"])
        clock.now = 100
        await one.known(1, MODEL, ["a"])
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "thought signatures are not shared for now",
        "thought signatures are shared again",
    ]
