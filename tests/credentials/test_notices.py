from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials import notices
from credentials.notices import Facts, kinds_of, retry_after, words_of
from credentials.states import State

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_a_loan_that_is_well_gives_nothing_to_tell():
    assert kinds_of(Facts("gemini_api", State.ACTIVE)) == []
    assert kinds_of(Facts("gemini_api", State.DISABLED, "operator")) == []


def test_everything_that_can_be_told_has_words_that_say_whose_it_is_and_fits_the_row():
    facts = Facts(
        "code_assist",
        State.NEEDS_ATTENTION,
        "subscription_required",
        login_ends_at=NOW,
        unused_since=NOW,
        used_up=True,
    )
    kinds = [*kinds_of(facts), notices.BACK, notices.WITHDRAWN]
    assert len(kinds) == 6
    for kind in kinds:
        words = words_of(kind, "bo…b@example.org", facts)
        assert words.startswith("bo…b@example.org: ")
        assert "{" not in words
        assert len(words) <= 1000
        assert len(kind) <= 30


@given(st.sampled_from(list(State)), st.text(max_size=80))
def test_no_reason_whatever_breaks_the_words(state, reason):
    facts = Facts("gemini_api", state, reason)
    for kind in kinds_of(facts):
        assert len(kind) <= 30
        assert words_of(kind, "key …1234", facts)


@pytest.mark.parametrize(
    ("connected_ago", "ends"),
    [(5 * DAY, False), (5.6 * DAY, True), (6.9 * DAY, True), (7.1 * DAY, False)],
)
def test_the_end_of_a_login_in_testing_is_told_a_day_and_a_half_before(connected_ago, ends):
    connected_at = NOW - connected_ago
    expected = connected_at + 7 * DAY if ends else None
    assert notices.ends_soon(connected_at, NOW) == expected


@given(st.sets(st.integers(min_value=0, max_value=9)))
def test_three_days_in_a_row_until_today_or_yesterday(days_ago):
    today = date(2026, 11, 20)
    days = {today - ago * DAY for ago in days_ago}
    assert notices.used_up(days, today) == ({0, 1, 2} <= days_ago or {1, 2, 3} <= days_ago)


def test_tries_come_later_and_later_and_never_stop():
    waits = [retry_after(attempts) for attempts in range(60)]
    assert waits[0] == timedelta(minutes=5)
    assert waits[:7] == sorted(waits[:7])
    assert waits[-1] == max(waits) == 6 * HOUR
