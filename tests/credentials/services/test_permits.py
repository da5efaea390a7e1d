"""Caps and claims hold for all processes together, whatever they do at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
from django.db import connection

from credentials.caps import next_upstream_midnight, upstream_day
from credentials.models import Allowance, Credential, Draining, ModelState, ProbeClaim
from credentials.selectors import spent_ids
from credentials.services.permits import (
    CLAIM_S,
    Ask,
    Permit,
    Refusal,
    end_claims,
    grant,
    put_back,
    report_draining,
)

API_KEY = "AIza" + "P" * 35

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC).timestamp()


@pytest.fixture
def lent(db):
    return [
        Credential.objects.create(
            provider="gemini_api", secret={"api_key": API_KEY}, fingerprint=f"{n}", calls_a_day=10
        ).pk
        for n in range(2)
    ]


def asking(credential_id, *, trying=(), limits=(), now=NOW):
    return Ask(credential_id, tuple(trying), tuple(limits), upstream_day(now), now)


def taken(credential_id, day=None):
    rows = Allowance.objects.filter(credential=credential_id, day=day or upstream_day(NOW))
    return dict(rows.values_list("scope", "taken"))


def test_a_cap_lets_in_as_many_as_it_says(lent):
    outcomes = grant([asking(lent[0], limits=[("", 3)]) for _ in range(5)])
    assert [type(outcome) for outcome in outcomes] == [Permit] * 3 + [Refusal] * 2
    assert outcomes[-1] == Refusal("", spent=True, until=MIDNIGHT)
    assert taken(lent[0]) == {"": 3}
    assert isinstance(grant([asking(lent[0], limits=[("", 3)])])[0], Refusal)


def test_one_that_is_not_served_makes_room_for_another(lent):
    [first, _] = grant([asking(lent[0], limits=[("", 2)]) for _ in range(2)])
    put_back([first])
    assert taken(lent[0]) == {"": 1}
    [again] = grant([asking(lent[0], limits=[("", 2)])])
    assert isinstance(again, Permit)


def test_all_of_what_a_call_counts_against_or_nothing(lent):
    limits = [("", 10), ("gemini-*-pro", 1)]
    first, second = grant([asking(lent[0], limits=limits) for _ in range(2)])
    assert isinstance(first, Permit)
    assert second == Refusal("gemini-*-pro", spent=True, until=MIDNIGHT)
    assert taken(lent[0]) == {"": 1, "gemini-*-pro": 1}


def test_one_whose_rest_is_over_within_its_second_may_be_tried(lent):
    """Rests are kept in whole seconds, rounded up: this one was over after half a second."""
    until = datetime.fromtimestamp(NOW + 1, UTC)
    Credential.objects.filter(pk=lent[0]).update(state="cooling", state_until=until)
    ModelState.objects.create(credential_id=lent[1], model="m", state="cooling", until=until)
    outcomes = grant(
        [asking(lent[0], trying=[""], now=NOW + 0.5), asking(lent[1], trying=["m"], now=NOW + 0.5)]
    )
    assert [type(outcome) for outcome in outcomes] == [Permit] * 2


def test_a_refused_cap_gives_the_claim_back(lent):
    [refused] = grant([asking(lent[0], trying=[""], limits=[("", 0)])])
    assert refused == Refusal("", spent=True, until=MIDNIGHT)
    assert not ProbeClaim.objects.exists()


def test_credentials_do_not_touch_each_other(lent):
    outcomes = grant([asking(pk, limits=[("", 1)]) for pk in (*lent, *lent)])
    assert [isinstance(outcome, Permit) for outcome in outcomes] == [True, True, False, False]


@pytest.mark.parametrize(
    ("before", "midnight"),
    [
        # Ordinary days, and those on which the clocks change in California: 23 and 25 hours long.
        (datetime(2026, 11, 20, 7, 59, 59, tzinfo=UTC), datetime(2026, 11, 20, 8, tzinfo=UTC)),
        (datetime(2026, 7, 1, 6, 59, 59, tzinfo=UTC), datetime(2026, 7, 1, 7, tzinfo=UTC)),
        (datetime(2026, 3, 8, 8, 0, 1, tzinfo=UTC), datetime(2026, 3, 9, 7, tzinfo=UTC)),
        (datetime(2026, 11, 1, 7, 0, 1, tzinfo=UTC), datetime(2026, 11, 2, 8, tzinfo=UTC)),
    ],
)
def test_the_day_is_the_upstreams(lent, before, midnight):
    limits = [("", 1)]
    at = before.timestamp()
    assert next_upstream_midnight(at) == midnight.timestamp()
    last_s = midnight.timestamp() - 1
    first, second = grant([asking(lent[0], limits=limits, now=now) for now in (at, last_s)])
    assert isinstance(first, Permit)
    # Whenever the answer is heard of, be it after midnight.
    assert second == Refusal("", spent=True, until=midnight.timestamp())
    [tomorrow] = grant([asking(lent[0], limits=limits, now=midnight.timestamp())])
    assert isinstance(tomorrow, Permit)
    put_back([first])
    assert taken(lent[0], first.day) == {"": 0}
    assert taken(lent[0], tomorrow.day) == {"": 1}


class TestClaims:
    def test_one_call_at_a_time_tries_a_credential(self, lent):
        first, second = grant([asking(lent[0], trying=["m"]) for _ in range(2)])
        assert isinstance(first, Permit)
        assert (second.scope, second.spent) == ("m", False)
        assert isinstance(grant([asking(lent[0], trying=["other"])])[0], Permit)
        end_claims([first])
        assert isinstance(grant([asking(lent[0], trying=["m"])])[0], Permit)

    def test_that_of_a_process_that_died_lapses(self, lent):
        grant([asking(lent[0], trying=["m"])])
        later = NOW + CLAIM_S
        assert isinstance(grant([asking(lent[0], trying=["m"], now=later - 1)])[0], Refusal)
        assert isinstance(grant([asking(lent[0], trying=["m"], now=later)])[0], Permit)

    def test_a_late_end_does_not_end_anothers(self, lent):
        [lapsed] = grant([asking(lent[0], trying=["m"])])
        grant([asking(lent[0], trying=["m"], now=NOW + CLAIM_S)])
        end_claims([lapsed])
        assert ProbeClaim.objects.count() == 1

    @pytest.mark.parametrize("scope", ["", "m"])
    def test_nobody_tries_what_was_just_found_to_rest_again(self, lent, scope):
        until = datetime.fromtimestamp(NOW + 60, UTC)
        if scope:
            ModelState.objects.create(
                credential_id=lent[0], model="m", state="cooling", until=until
            )
        else:
            Credential.objects.filter(pk=lent[0]).update(state="cooling", state_until=until)
        assert isinstance(grant([asking(lent[0], trying=[scope])])[0], Refusal)
        assert isinstance(grant([asking(lent[0], trying=[scope], now=NOW + 60)])[0], Permit)


def test_sixteen_threads_never_exceed_a_cap(shared_database):
    row = Credential.objects.create(
        provider="gemini_api", secret={"api_key": API_KEY}, fingerprint="x"
    )
    started = threading.Barrier(16)

    def take(_number: int) -> int:
        try:
            started.wait(timeout=30)
            granted = 0
            for _ in range(5):
                outcomes = grant([asking(row.pk, limits=[("", 40)]) for _ in range(3)])
                permits = [outcome for outcome in outcomes if isinstance(outcome, Permit)]
                put_back(permits[:1])
                granted += len(permits[1:])
            return granted
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as threads:
        granted = sum(threads.map(take, range(16)))
    assert granted <= 40
    assert taken(row.pk) == {"": granted}
    rest = grant([asking(row.pk, limits=[("", 40)]) for _ in range(40)])
    assert granted + sum(isinstance(outcome, Permit) for outcome in rest) == 40


@pytest.mark.django_db
def test_whose_day_is_used_up_is_one_query(lent, django_assert_num_queries):
    for calls in (9, 10):
        Allowance.objects.filter(credential=lent[0]).delete()
        Allowance.objects.create(credential_id=lent[0], day=date(2026, 11, 20), taken=calls)
        with django_assert_num_queries(1):
            found = spent_ids(date(2026, 11, 20))
        assert found == ({lent[0]} if calls == 10 else set())


@pytest.mark.django_db
def test_what_still_runs_is_told_and_taken_back(lent):
    report_draining(holder_id="a", calls={lent[0]: 2, lent[1]: 1})
    report_draining(holder_id="b", calls={lent[0]: 5})
    report_draining(holder_id="a", calls={lent[0]: 1})
    rows = Draining.objects.order_by("holder_id").values_list("holder_id", "credential", "calls")
    assert list(rows) == [("a", lent[0], 1), ("b", lent[0], 5)]
    report_draining(holder_id="a", calls={})
    assert Draining.objects.count() == 1
