from __future__ import annotations

import pytest

from apiproxy.pool import Pool
from apiproxy.wire.types import OK, Credential, Fault, Verdict
from gateway.lib.errors import PoolExhausted

GEMINI = ("gemini_api",)


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def pool(now):
    return Pool(clock=lambda: now[0])


def credential(id, **fields):
    return Credential(id=id, provider=fields.pop("provider", "gemini_api"), token="t", **fields)


def cool(until, *, whole=False):
    return Verdict(fault=Fault.COOL_DOWN, kind="rate", until=until, whole=whole)


def taken(pool, model="m", **kwargs):
    return pool.acquire(model, GEMINI, **kwargs).credential.id


def test_an_empty_pool_says_that_nobody_has_lent_anything(pool):
    with pytest.raises(PoolExhausted, match="nobody has lent") as raised:
        pool.acquire("m", GEMINI)
    assert raised.value.retry_after_s is None


def test_the_least_busy_credential_is_next(pool):
    pool.replace([credential(1), credential(2), credential(3)])
    first = pool.acquire("m", GEMINI)
    assert {taken(pool), taken(pool)} == {2, 3}
    pool.release(first, OK)
    assert taken(pool) == first.credential.id


def test_among_equals_the_longest_unused_is_next(pool):
    pool.replace([credential(1), credential(2), credential(3)])
    order = []
    for _ in range(6):
        lease = pool.acquire("m", GEMINI)
        order.append(lease.credential.id)
        pool.release(lease, OK)
    assert order == [1, 2, 3, 1, 2, 3]


def test_a_heavier_credential_carries_more(pool):
    pool.replace([credential(1, weight=3), credential(2)])
    ids = [taken(pool) for _ in range(8)]
    assert ids.count(1) == 6


def test_only_providers_that_serve_the_model_are_asked(pool):
    pool.replace([credential(1, provider="code_assist"), credential(2)])
    assert taken(pool) == 2
    with pytest.raises(PoolExhausted):
        pool.acquire("m", ("gemini_web",))


def test_excluded_credentials_are_stepped_over_and_keep_their_place(pool):
    pool.replace([credential(1), credential(2)])
    lease = pool.acquire("m", GEMINI, exclude={1})
    assert lease.credential.id == 2
    pool.release(lease, OK)
    assert taken(pool) == 1


def test_a_cooled_credential_rests_for_that_model_until_its_time(pool, now):
    pool.put(credential(1))
    pool.release(pool.acquire("m", GEMINI), cool(1060.0))
    with pytest.raises(PoolExhausted) as raised:
        pool.acquire("m", GEMINI)
    assert raised.value.retry_after_s == 60.0
    assert taken(pool, "other") == 1
    now[0] = 1060.0
    assert taken(pool) == 1


def test_a_rest_of_the_whole_credential_covers_every_model(pool, now):
    pool.put(credential(1))
    pool.release(pool.acquire("m", GEMINI), cool(1060.0, whole=True))
    with pytest.raises(PoolExhausted):
        pool.acquire("other", GEMINI)
    now[0] = 1060.5
    assert pool.acquire("other", GEMINI).recovering


def test_a_success_after_a_rest_is_news_once(pool, now):
    pool.put(credential(1))
    pool.release(pool.acquire("m", GEMINI), cool(1060.0))
    now[0] = 1061.0
    lease = pool.acquire("m", GEMINI)
    assert lease.recovering
    pool.release(lease, OK)
    assert not pool.acquire("m", GEMINI).recovering


def test_a_disabled_credential_is_gone(pool):
    pool.put(credential(1))
    pool.release(pool.acquire("m", GEMINI), Verdict(fault=Fault.DISABLE))
    with pytest.raises(PoolExhausted, match="nobody has lent"):
        pool.acquire("m", GEMINI)


@pytest.mark.parametrize(
    "verdict",
    [
        None,
        Verdict(fault=Fault.CLIENT_FAULT),
        Verdict(fault=Fault.RETRY),
        Verdict(fault=Fault.NEXT_CREDENTIAL),
    ],
)
def test_what_is_not_its_fault_costs_a_credential_nothing(pool, verdict):
    pool.put(credential(1))
    pool.release(pool.acquire("m", GEMINI), verdict)
    assert taken(pool) == 1


def test_another_processs_rest_counts_here_too(pool, now):
    pool.put(credential(1))
    pool.rest(1, "", 1060.0)
    assert pool.usable("m", GEMINI) == 0
    pool.rest(1, "", 0.0)
    assert taken(pool) == 1


def test_a_new_token_reaches_the_next_call_and_keeps_the_load(pool):
    pool.replace([credential(1), credential(2)])
    pool.acquire("m", GEMINI)
    pool.put(Credential(id=1, provider="gemini_api", token="new"))
    assert taken(pool) == 2
    assert pool.acquire("m", GEMINI).credential.token == "new"


def test_replacing_drops_what_is_no_longer_there(pool):
    pool.replace([credential(1), credential(2)])
    lease = pool.acquire("m", GEMINI)
    pool.replace([credential(2)])
    pool.release(lease, OK)
    assert [taken(pool) for _ in range(3)] == [2, 2, 2]


def test_entries_that_became_stale_do_not_pile_up(pool):
    pool.replace([credential(n) for n in range(1, 4)])
    for _ in range(5_000):
        pool.release(pool.acquire("m", GEMINI), OK)
    assert len(pool._ready["gemini_api"]) < 200


def test_secrets_are_not_in_what_is_printed():
    assert "t0p" not in repr(Credential(id=1, provider="gemini_api", token="t0p"))


def test_a_provider_is_served_as_long_as_it_has_a_credential_be_it_resting():
    pool = Pool(lambda: 0.0)
    pool.put(Credential(id=1, provider="gemini_api"))
    pool.rest(1, "", 100.0)
    assert pool.serves(("code_assist", "gemini_api"))
    assert not pool.serves(("code_assist",))
    pool.remove(1)
    assert not pool.serves(("gemini_api",))
