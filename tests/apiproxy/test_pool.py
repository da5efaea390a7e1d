from __future__ import annotations

import gc
from collections import Counter
from contextlib import suppress

import msgspec
import pytest

from apiproxy.lanes import Lane, Standing
from apiproxy.pool import WHOLE, BeingTried, Pool
from apiproxy.wire.types import OK, Credential, Fault, Verdict
from credentials.caps import Caps, Hours
from gateway.lib.errors import PoolExhausted

GEMINI = ("gemini_api",)
NOON = 1_790_000_000.0 // 86_400 * 86_400 + 12 * 3600.0


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def pool(now):
    return Pool(clock=lambda: now[0])


def credential(id, **fields):
    return Credential(id=id, provider=fields.pop("provider", "gemini_api"), token="t", **fields)


def filled(pool, *credentials):
    for one in credentials:
        pool.put(one)


def cool(until, *, whole=False, kind="rate", guessed=False):
    return Verdict(
        fault=Fault.COOL_DOWN, kind=kind, until=until, whole=whole, guessed=guessed, status=429
    )


def taken(pool, model="m", **kwargs):
    return pool.acquire(model, GEMINI, **kwargs).credential.id


def served(pool, model="m", **kwargs):
    """The id of the credential that served a call from beginning to end."""
    lease = pool.acquire(model, GEMINI, **kwargs)
    pool.release(lease, OK)
    return lease.credential.id


def test_an_empty_pool_says_that_nobody_has_lent_anything(pool):
    with pytest.raises(PoolExhausted, match="nobody has lent") as raised:
        pool.acquire("m", GEMINI)
    assert raised.value.retry_after_s is None


def test_the_least_busy_credential_is_next(pool):
    filled(pool, credential(1), credential(2), credential(3))
    first = pool.acquire("m", GEMINI)
    others = {taken(pool), taken(pool)}
    assert others | {first.credential.id} == {1, 2, 3}
    pool.release(first, OK)
    assert taken(pool) == first.credential.id


def test_who_has_given_least_is_next(pool):
    filled(pool, credential(1), credential(2), credential(3))
    order = [served(pool) for _ in range(6)]
    assert sorted(order[:3]) == [1, 2, 3]
    assert order[3:] == order[:3]


def test_two_that_come_when_all_others_went_take_turns(pool):
    filled(pool, credential(1), credential(2))
    for _ in range(7):
        served(pool)
    for n in range(3, 40, 2):
        pool.remove(n - 2)
        pool.remove(n - 1)
        filled(pool, credential(n), credential(n + 1))
        order = [served(pool) for _ in range(2)]
        assert sorted(order) == [n, n + 1]


def test_two_of_which_one_is_back_for_a_model_take_turns(pool):
    filled(pool, credential(1), credential(2))
    pool.rest(1, "m", 9000.0)
    for _ in range(7):
        served(pool)
    pool.rest(1, "m", 0.0)
    assert [sorted(served(pool) for _ in range(2)) for _ in range(5)] == [[1, 2]] * 5


def test_processes_that_begin_together_load_nobody_with_more_than_a_call_each(now):
    """In step they are at the same credential, and a call later both at another."""
    pools = [Pool(lambda: now[0]) for _ in range(2)]
    for pool in pools:
        filled(pool, *map(credential, range(1, 41)))
    given_by = Counter()
    for calls in range(1, 81):
        given_by.update(served(pool) for pool in pools)
        assert max(given_by.values()) <= 2 * -(-calls // 40)
    assert set(given_by.values()) == {4}


def test_a_heavier_credential_carries_more(pool):
    filled(pool, credential(1, weight=3), credential(2))
    ids = [taken(pool) for _ in range(8)]
    assert ids.count(1) == 6


def test_only_providers_that_serve_the_model_are_asked(pool):
    filled(pool, credential(1, provider="code_assist"), credential(2))
    assert taken(pool) == 2
    with pytest.raises(PoolExhausted):
        pool.acquire("m", ("gemini_web",))


def test_all_kinds_that_serve_a_model_take_their_turns(pool):
    filled(pool, credential(1, provider="code_assist"), credential(2))
    both = ("code_assist", "gemini_api")
    ids = []
    for _ in range(4):
        lease = pool.acquire("m", both)
        pool.release(lease, OK)
        ids.append(lease.credential.id)
    assert sorted(ids) == [1, 1, 2, 2]


def test_excluded_credentials_keep_their_place(pool):
    filled(pool, credential(1), credential(2))
    lease = pool.acquire("m", GEMINI, exclude={1})
    assert lease.credential.id == 2
    pool.release(lease, OK)
    assert taken(pool) == 1
    with pytest.raises(PoolExhausted, match="failed this call"):
        pool.acquire("m", GEMINI, exclude={1, 2})


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
    assert pool.acquire("other", GEMINI).trying == (WHOLE,)


def test_a_short_limit_met_by_a_call_under_way_does_not_shorten_a_long_rest(pool, now):
    pool.put(credential(1))
    first, second = pool.acquire("m", GEMINI), pool.acquire("m", GEMINI)
    pool.release(first, cool(9000.0, kind="quota"))
    pool.release(second, cool(1030.0))
    now[0] = 1031.0
    with pytest.raises(PoolExhausted) as raised:
        pool.acquire("m", GEMINI)
    assert raised.value.retry_after_s == 9000.0 - 1031.0


class TestHalfOpen:
    @pytest.fixture
    def back(self, pool, now):
        """A credential whose rest for "m" is just over."""
        pool.put(credential(1))
        pool.release(pool.acquire("m", GEMINI), cool(1060.0))
        now[0] = 1061.0
        return pool

    def test_it_takes_one_call_until_that_is_answered(self, back):
        trial = back.acquire("m", GEMINI)
        assert trial.trying == ("m",)
        with pytest.raises(BeingTried):
            back.acquire("m", GEMINI)
        assert taken(back, "other") == 1
        back.release(trial, OK)
        assert [back.acquire("m", GEMINI).trying for _ in range(3)] == [()] * 3

    def test_the_beginning_of_an_answer_is_enough_and_news_once(self, back):
        trial = back.acquire("m", GEMINI)
        assert back.answered(trial)
        assert not back.answered(trial)
        assert back.acquire("m", GEMINI).trying == ()

    def test_an_answer_that_ends_later_does_not_end_a_rest_that_began_since(self, back):
        trial = back.acquire("m", GEMINI)
        back.answered(trial)
        back.release(back.acquire("m", GEMINI), cool(1200.0))
        back.release(trial, OK)
        with pytest.raises(PoolExhausted):
            back.acquire("m", GEMINI)

    @pytest.mark.parametrize(
        "verdict", [None, Verdict(fault=Fault.CLIENT_FAULT), Verdict(fault=Fault.RETRY)]
    )
    def test_what_says_nothing_of_it_leaves_it_half_open(self, back, verdict):
        back.release(back.acquire("m", GEMINI), verdict)
        assert back.acquire("m", GEMINI).trying == ("m",)

    def test_one_that_fails_rests_again(self, back, now):
        back.release(back.acquire("m", GEMINI), cool(1100.0))
        assert back.usable("m", GEMINI) == 0
        now[0] = 1100.0
        assert back.acquire("m", GEMINI).trying == ("m",)

    def test_another_process_may_be_the_one_that_tries(self, back, now):
        trial = back.acquire("m", GEMINI)
        back.refuse(trial, "m", 1063.0, spent=False)
        with pytest.raises(BeingTried):
            back.acquire("m", GEMINI)
        assert back.in_flight() == 0
        now[0] = 1063.0
        assert back.acquire("m", GEMINI).trying == ("m",)

    def test_its_success_is_heard_of(self, back):
        back.refuse(back.acquire("m", GEMINI), "m", 1063.0, spent=False)
        back.rest(1, "m", 0.0)
        assert back.acquire("m", GEMINI).trying == ()

    def test_its_own_rest_comes_back_from_the_database_rounded_up_and_is_no_other(self, pool, now):
        pool.put(credential(1))
        pool.release(pool.acquire("m", GEMINI), cool(1000.5))
        pool.rest(1, "m", 1001.0)
        now[0] = 1000.6
        assert pool.acquire("m", GEMINI).trying == ("m",)

    def test_who_never_rested_is_tried_by_nobody(self, pool):
        pool.put(credential(1))
        assert pool.acquire("m", GEMINI).trying == ()

    @pytest.mark.parametrize(("kind", "longest"), [("rate", 3600.0), ("quota", 86_400.0)])
    def test_guessed_rests_double_until_one_is_long_enough(self, pool, now, kind, longest):
        pool.put(credential(1))
        rests = []
        for _ in range(14):
            lease = pool.acquire("m", GEMINI)
            verdict = pool.release(lease, cool(now[0] + 60.0, kind=kind, guessed=True))
            rests.append(verdict.until - now[0])
            now[0] = verdict.until
        assert rests[:4] == [60.0, 120.0, 240.0, 480.0]
        assert rests[-1] == longest
        pool.release(pool.acquire("m", GEMINI), OK)
        verdict = pool.release(
            pool.acquire("m", GEMINI), cool(now[0] + 60.0, kind=kind, guessed=True)
        )
        assert verdict.until == now[0] + 60.0

    def test_a_time_that_the_upstream_names_is_believed(self, back, now):
        verdict = back.release(back.acquire("m", GEMINI), cool(now[0] + 1.0))
        assert verdict.until == now[0] + 1.0


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
    pool.rest(1, WHOLE, 1060.0)
    assert pool.usable("m", GEMINI) == 0
    pool.rest(1, WHOLE, 0.0)
    assert taken(pool) == 1


def test_a_new_token_reaches_the_next_call_and_keeps_the_load(pool):
    filled(pool, credential(1), credential(2))
    busy = pool.acquire("m", GEMINI).credential.id
    pool.put(Credential(id=busy, provider="gemini_api", token="new"))
    assert taken(pool) != busy
    assert pool.acquire("m", GEMINI).credential.token == "new"


def test_a_refreshed_token_leaves_caps_and_account_as_they_are(pool):
    caps = Caps(calls_a_day=10, models=("m",))
    pool.put(credential(1), caps=caps, login="account")
    pool.renew(Credential(id=1, provider="gemini_api", token="new"))
    lease = pool.acquire("m", GEMINI)
    assert (lease.credential.token, lease.limits) == ("new", (("", 10),))
    with pytest.raises(PoolExhausted):
        pool.acquire("other", GEMINI)


def test_a_refresh_that_ends_late_brings_nobody_back_who_has_left(pool):
    pool.put(credential(1))
    pool.remove(1)
    pool.renew(Credential(id=1, provider="gemini_api", token="new"))
    assert not pool.serves(GEMINI)


def test_calls_of_a_removed_credential_are_still_counted(pool):
    pool.put(credential(1))
    first, second = pool.acquire("m", GEMINI), pool.acquire("m", GEMINI)
    pool.remove(1)
    assert pool.draining() == {1: 2}
    pool.release(first, OK)
    assert pool.draining() == {1: 1}
    pool.put(credential(1))
    assert (pool.draining(), pool.in_flight()) == ({}, 1)
    pool.release(second, OK)
    assert pool.in_flight() == 0


def test_secrets_are_not_in_what_is_printed():
    assert "t0p" not in repr(Credential(id=1, provider="gemini_api", token="t0p"))


def test_a_provider_is_served_as_long_as_it_has_a_credential_be_it_resting(pool):
    pool.put(credential(1))
    pool.rest(1, WHOLE, 2000.0)
    assert pool.serves(("code_assist", "gemini_api"))
    assert not pool.serves(("code_assist",))
    pool.remove(1)
    assert not pool.serves(("gemini_api",))


class TestCaps:
    def test_only_allowed_models_are_asked_of_it(self, pool):
        pool.put(credential(1), caps=Caps(models=("gemini-2.5-*",)))
        assert taken(pool, "gemini-2.5-pro") == 1
        with pytest.raises(PoolExhausted, match="nobody who lends"):
            pool.acquire("gemini-3-pro", GEMINI)
        pool.put(credential(2))
        assert [served(pool, "gemini-3-pro") for _ in range(3)] == [2, 2, 2]

    def test_a_cap_that_changes_counts_from_then_on(self, pool):
        pool.put(credential(1), caps=Caps(models=("a",)))
        filled(pool, credential(2))
        for _ in range(3):
            served(pool, "b")
        pool.put(credential(1), caps=Caps(models=("a", "b")))
        assert {served(pool, "b") for _ in range(4)} == {1, 2}
        pool.put(credential(1), caps=Caps(models=("c",)))
        assert {served(pool, "b") for _ in range(4)} == {2}

    def test_outside_its_hours_it_takes_no_call(self, pool, now):
        now[0] = NOON
        pool.put(credential(1), caps=Caps(hours=Hours(20, 8, "UTC")))
        with pytest.raises(PoolExhausted) as raised:
            pool.acquire("m", GEMINI)
        assert raised.value.retry_after_s == 8 * 3600.0
        now[0] = NOON + 8 * 3600.0
        assert taken(pool) == 1
        now[0] = NOON + 20 * 3600.0
        with pytest.raises(PoolExhausted):
            pool.acquire("m", GEMINI)

    def test_when_many_close_at_once_none_of_them_takes_another_call(self, pool, now):
        now[0] = NOON
        for n in range(1, 101):
            pool.put(credential(n), caps=Caps(hours=Hours(8, 20)))
        pool.put(credential(200))
        now[0] = NOON + 8 * 3600.0 - 1
        assert len({served(pool) for _ in range(101)}) == 101
        now[0] += 1
        assert {served(pool) for _ in range(20)} == {200}
        assert pool.has("m", GEMINI, ())
        assert not pool.has("m", GEMINI, {200})

    def test_one_that_closed_and_opened_again_unasked_is_there(self, pool, now):
        now[0] = NOON
        pool.put(credential(1), caps=Caps(hours=Hours(8, 20)))
        now[0] = NOON + 24 * 3600.0
        assert [served(pool) for _ in range(2)] == [1, 1]

    def test_a_call_says_what_it_counts_against(self, pool):
        caps = Caps(calls_a_day=10, model_calls_a_day=(("gemini-*-pro", 5), ("other", 1)))
        pool.put(credential(1), caps=caps)
        assert pool.acquire("gemini-3-pro", GEMINI).limits == (("", 10), ("gemini-*-pro", 5))
        assert pool.acquire("m", GEMINI).limits == (("", 10),)

    def test_a_used_up_cap_keeps_it_out_until_the_next_day(self, pool, now):
        pool.put(credential(1), caps=Caps(calls_a_day=1))
        pool.refuse(pool.acquire("m", GEMINI), WHOLE, 5000.0, spent=True)
        with pytest.raises(PoolExhausted) as raised:
            pool.acquire("other", GEMINI)
        assert raised.value.retry_after_s == 4000.0
        now[0] = 5000.0
        assert taken(pool) == 1

    def test_a_used_up_cap_of_a_model_leaves_the_others(self, pool):
        pool.put(credential(1), caps=Caps(model_calls_a_day=(("m*", 1),)))
        pool.refuse(pool.acquire("m", GEMINI), "m*", 5000.0, spent=True)
        with pytest.raises(PoolExhausted):
            pool.acquire("m", GEMINI)
        assert taken(pool, "other") == 1

    def test_names_made_up_to_fit_a_used_up_cap_leave_nothing_behind(self, pool, now):
        for n in range(1, 41):
            pool.put(credential(n), caps=Caps(model_calls_a_day=(("gemini-*", 1),)))
        for made_up in range(2_000):
            with suppress(PoolExhausted):
                lease = pool.acquire(f"gemini-{made_up}", GEMINI)
                pool.refuse(lease, "gemini-*", 5000.0, spent=True)
        with pytest.raises(PoolExhausted) as raised:
            pool.acquire("gemini-again", GEMINI)
        assert raised.value.retry_after_s == 4000.0
        assert sum(len(member.scopes) for member in pool._members.values()) == 40
        assert sum(map(len, pool._alarms.values())) == 40
        assert len(pool._lanes) == 1
        assert taken(pool, "other")
        now[0] = 5000.0
        assert len({served(pool, "gemini-again") for _ in range(80)}) == 40
        assert not any(member.scopes for member in pool._members.values())

    def test_a_used_up_cap_of_many_costs_a_call_nothing(self, pool):
        """Who is out for a glob is out of its lane, not stepped over by every call."""
        for n in range(1, 1001):
            pool.put(credential(n), caps=Caps(model_calls_a_day=(("m*", 1),)))
        pool.put(credential(2000))
        while pool.usable("m", GEMINI) > 1:
            lease = pool.acquire("m", GEMINI, exclude={2000})
            pool.refuse(lease, "m*", 5000.0, spent=True)
        assert {served(pool, f"m-{n}") for n in range(50)} == {2000}
        (lane,) = [lane for lane in pool._lanes.values() if "m*" in lane.matched]
        assert len(lane._heap) < 100

    def test_a_rest_and_a_used_up_cap_are_both_waited_for(self, pool, now):
        pool.put(credential(1), caps=Caps(model_calls_a_day=(("m*", 1),)))
        first, second = pool.acquire("m1", GEMINI), pool.acquire("m1", GEMINI)
        pool.release(first, cool(2000.0))
        pool.refuse(second, "m*", 5000.0, spent=True)
        now[0] = 2000.0
        with pytest.raises(PoolExhausted) as raised:
            pool.acquire("m1", GEMINI)
        assert raised.value.retry_after_s == 3000.0
        pool.unspent(1)
        assert pool.acquire("m1", GEMINI).trying == ("m1",)

    def test_a_count_that_was_read_before_a_call_came_back_is_out_of_date(self, pool):
        pool.put(credential(1), caps=Caps(calls_a_day=1))
        lease = pool.acquire("m", GEMINI)
        pool.begin_count()
        pool.release(lease, None)
        pool.unspent(1)
        pool.spent([1], 5000.0)
        pool.release(pool.acquire("m", GEMINI), None)
        pool.begin_count()
        pool.spent([1], 5000.0)
        with pytest.raises(PoolExhausted):
            pool.acquire("m", GEMINI)

    def test_a_cap_that_was_changed_meanwhile_is_not_used_up_by_an_old_word(self, pool):
        pool.put(credential(1), caps=Caps(model_calls_a_day=(("m*", 1),)))
        lease = pool.acquire("m", GEMINI)
        pool.put(credential(1), caps=Caps(model_calls_a_day=(("m*", 2),)))
        pool.refuse(lease, "m*", 5000.0, spent=True)
        assert taken(pool) == 1

    def test_the_word_that_it_works_does_not_refill_a_cap_and_a_higher_one_does(self, pool):
        pool.put(credential(1), caps=Caps(calls_a_day=1))
        pool.refuse(pool.acquire("m", GEMINI), WHOLE, 5000.0, spent=True)
        pool.rest(1, WHOLE, 0.0)
        assert pool.usable("m", GEMINI) == 0
        pool.put(credential(1), caps=Caps(calls_a_day=2))
        assert pool.usable("m", GEMINI) == 1

    def test_what_all_processes_used_up_is_learnt_at_once(self, pool):
        for n in (1, 2):
            pool.put(credential(n), caps=Caps(calls_a_day=1))
        pool.spent({1}, 5000.0)
        assert taken(pool) == 2
        pool.spent(set(), 5000.0)
        assert pool.usable("m", GEMINI) == 2

    def test_no_calls_allowed_is_no_call(self, pool):
        pool.put(credential(1), caps=Caps(calls_a_day=0))
        with pytest.raises(PoolExhausted, match="nobody who lends"):
            pool.acquire("m", GEMINI)


class TestRotation:
    def test_so_many_calls_in_a_row_go_to_one(self, now):
        pool = Pool(lambda: now[0], calls_per_rotation=3)
        filled(pool, credential(1), credential(2))
        ids = [served(pool) for _ in range(12)]
        assert ids == [ids[0]] * 3 + [ids[3]] * 3 + [ids[0]] * 3 + [ids[3]] * 3
        assert ids[0] != ids[3]

    def test_one_that_rests_gives_way_at_once(self, now):
        pool = Pool(lambda: now[0], calls_per_rotation=100)
        filled(pool, credential(1), credential(2))
        lease = pool.acquire("m", GEMINI)
        pool.release(lease, cool(2000.0))
        assert {served(pool) for _ in range(3)} == {1, 2} - {lease.credential.id}


class TestSticky:
    def test_a_conversation_stays_with_its_credential(self, pool):
        filled(pool, *map(credential, range(1, 21)))
        of = {f"talk {n}": served(pool, sticky=f"talk {n}") for n in range(200)}
        assert all(served(pool, sticky=talk) == id for talk, id in of.items())
        assert len(set(of.values())) > 10

    def test_every_process_finds_the_same_one(self, now):
        pools = [Pool(lambda: now[0]) for _ in range(2)]
        for pool, ids in zip(pools, (range(1, 21), range(20, 0, -1)), strict=True):
            filled(pool, *map(credential, ids))
        served(pools[0])
        first, second = ([served(p, sticky=f"talk {n}") for n in range(50)] for p in pools)
        assert first == second

    def test_only_the_conversations_of_one_that_goes_move(self, pool):
        filled(pool, *map(credential, range(1, 11)))
        before = {f"talk {n}": served(pool, sticky=f"talk {n}") for n in range(300)}
        pool.rest(4, WHOLE, 2000.0)
        after = {talk: served(pool, sticky=talk) for talk in before}
        assert {talk for talk in before if before[talk] != after[talk]} == {
            talk for talk, id in before.items() if id == 4
        }

    def test_a_heavier_one_holds_more_of_them(self, pool):
        filled(pool, credential(1, weight=3), credential(2))
        ids = [served(pool, sticky=f"talk {n}") for n in range(400)]
        assert 250 < ids.count(1) < 350


class TestBounds:
    def test_entries_that_became_stale_do_not_pile_up(self, pool):
        filled(pool, *map(credential, range(1, 4)))
        for n in range(5_000):
            lease = pool.acquire("m", GEMINI)
            pool.release(lease, cool(1000.5) if n % 3 == 0 else OK)
            pool.rest(lease.credential.id, "m", 0.0)
        assert all(len(lane._heap) < 200 for lane in pool._lanes.values())
        assert not pool._apart

    def test_who_comes_and_goes_leaves_no_room_empty(self, pool):
        filled(pool, *map(credential, range(1, 11)))
        pool.rest(2, "m", 9000.0)
        for n in range(5_000):
            served(pool)
            served(pool, "other")
            pool.remove(1)
            pool.put(credential(1))
            pool.rest(1, WHOLE, 9000.0 + n)
            pool.rest(1, WHOLE, 0.0)
        assert len(pool._slots) <= 11
        assert all(len(lane._places) < 100 for lane in pool._lanes.values())
        assert all(len(lane._heap) < 200 for lane in pool._lanes.values())
        assert len(pool._alarms[WHOLE]) < 200

    def test_who_takes_the_room_of_another_is_served_in_its_own_turn(self, pool):
        """What still stands in the heaps is of the one before, which was far ahead."""
        pool.put(credential(1), caps=Caps(calls_a_day=1))
        filled(pool, credential(2), credential(3))
        while served(pool) != 1:
            pass
        pool.remove(1)
        pool.put(credential(4))
        ids = [served(pool) for _ in range(30)]
        assert 9 <= ids.count(4) <= 11
        pool.remove(4)
        assert {served(pool) for _ in range(10)} == {2, 3}

    def test_names_that_clients_make_up_build_nothing(self, pool):
        pool.put(credential(1), caps=Caps(models=("gemini-*",)))
        pool.put(credential(2))
        for n in range(10_000):
            served(pool, f"made-up-{n}")
        assert len(pool._lanes) == 1
        assert len(pool._routes) <= 4096

    def test_models_with_rests_keep_a_bounded_number_of_lanes(self, pool):
        filled(pool, credential(1), credential(2))
        for n in range(2_000):
            pool.rest(1, f"model-{n}", 2000.0)
            assert served(pool, f"model-{n}") == 2
        assert len(pool._lanes) <= 1024

    def test_what_lanes_take_up_is_bounded_where_there_are_many_credentials(
        self, pool, monkeypatch
    ):
        """A catalogue of three hundred models has room; what has not is made anew for the call that needs it."""
        filled(pool, *map(credential, range(1, 10_001)))
        assert pool._most_lanes >= 300
        filled(pool, *map(credential, range(10_001, 40_001)))
        assert pool._most_lanes < 300
        built = []
        fill = Lane.fill
        monkeypatch.setattr(Lane, "fill", lambda lane, *args: built.append(1) or fill(lane, *args))
        for n in range(2 * pool._most_lanes):
            pool.rest(1, f"model-{n}", 2000.0)
        for _ in range(2):
            for n in range(pool._most_lanes):
                served(pool, f"model-{n}")
        assert len(built) == pool._most_lanes

    def test_being_exhausted_is_worked_out_once(self, pool, monkeypatch):
        filled(pool, credential(1), credential(2))
        pool.rest(1, WHOLE, 1100.0)
        pool.rest(2, WHOLE, 1050.0)
        looked = self._looks(pool, monkeypatch)
        for _ in range(100):
            with pytest.raises(PoolExhausted, match="try again in 51 s"):
                pool.acquire("m", GEMINI)
        assert len(looked) == 1

    def test_made_up_names_share_what_was_worked_out(self, pool, monkeypatch):
        pool.put(credential(1))
        pool.rest(1, WHOLE, 1100.0)
        looked = self._looks(pool, monkeypatch)
        for n in range(100):
            with pytest.raises(PoolExhausted):
                pool.acquire(f"made-up-{n}", GEMINI)
        assert len(looked) == 1

    def test_in_a_large_pool_not_every_change_has_all_looked_at(self, pool, now, monkeypatch):
        for n in range(2_000):
            pool.put(credential(n))
            pool.rest(n, WHOLE, 9000.0)
        looked = self._looks(pool, monkeypatch)
        for n in range(100):
            pool.rest(n, WHOLE, 8000.0 - n)
            with pytest.raises(PoolExhausted):
                pool.acquire("m", GEMINI)
        assert len(looked) == 1
        now[0] += 1.0
        with pytest.raises(PoolExhausted) as raised:
            pool.acquire("m", GEMINI)
        assert raised.value.retry_after_s == 8000.0 - 99 - now[0]

    def _looks(self, pool, monkeypatch):
        looked = []
        first_back = pool._first_back
        monkeypatch.setattr(
            pool, "_first_back", lambda *args: looked.append(args) or first_back(*args)
        )
        return looked

    def test_when_all_come_back_at_once_no_call_sees_to_all_of_them(self, pool, now, monkeypatch):
        for n in range(1, 1_006):
            pool.put(credential(n, provider="code_assist" if n < 6 else "gemini_api"))
            pool.rest(n, WHOLE, 1900.0 if n < 6 else 2000.0)
        now[0] = 2000.0
        reviewed = []
        review = pool._review
        monkeypatch.setattr(pool, "_review", lambda *args: reviewed.append(args) or review(*args))
        most = 0
        for _ in range(1_500):
            reviewed.clear()
            pool.release(pool.acquire("m", GEMINI), OK)
            most = max(most, len(reviewed))
        assert most < 40
        assert pool.usable("m", GEMINI) == 1_000
        assert not pool._alarms[WHOLE]

    def test_a_million_rests_are_nothing_to_the_garbage_collector(self):
        assert not gc.is_tracked(Standing())

    def test_lanes_share_their_entries(self, pool):
        for n in range(1, 101):
            pool.put(credential(n))
        for model in ("a", "b"):
            pool.rest(1, model, 2000.0)
            served(pool, model)
        entries = [set(map(id, lane._heap)) for lane in pool._lanes.values()]
        assert len(entries) == 2
        assert len(entries[0] & entries[1]) >= 97

    def test_a_call_meets_a_credential_that_cannot_serve_it_once(self, pool):
        """However many rest: what is stepped over is out of the way for the next call."""
        filled(pool, *map(credential, range(1, 1001)))
        for n in range(1, 1000):
            pool.rest(n, "m", 5000.0)
        served(pool)
        (lane,) = [lane for lane in pool._lanes.values() if lane.model == "m"]
        assert len(lane._heap) < 100


def test_a_lease_for_the_pools_own_credential_is_never_guarded(pool):
    pool.put(msgspec.structs.replace(credential(1)))
    assert not pool.acquire("m", GEMINI).guarded
