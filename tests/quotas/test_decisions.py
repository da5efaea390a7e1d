from __future__ import annotations

from datetime import date

import pytest

from quotas.decisions import NOW, Held, Refusal, State, give, take
from quotas.terms import Account

FRIDAY = date(2026, 11, 20).toordinal()
SUNDAY, MONDAY = FRIDAY + 2, FRIDAY + 3
DECEMBER = date(2026, 12, 1).toordinal()


def state(remaining=100, **more):
    return State(False, 0, 0, remaining, **more)


def counted(one):
    return one.day_micros, one.week_micros, one.month_micros


def daily(balance_id=1, **limits):
    return Account(balance_id, **(limits or {"day_micros": 50}))


def reserve(states, amount, *accounts, day=FRIDAY):
    return take(states, accounts or (daily(),), amount, {"": day})


def test_a_call_is_counted_in_its_day_week_and_month():
    states = {1: state()}
    [held] = reserve(states, 30)
    assert held == Held(1, 30, FRIDAY)
    assert counted(states[1]) == (30, 30, 30)
    assert give(states, [held], 12) == 12
    assert counted(states[1]) == (12, 12, 12)
    assert (states[1].used_micros, states[1].reserved_micros, states[1].remaining_micros) == (
        12,
        0,
        88,
    )


@pytest.mark.parametrize("period", ["day", "week", "month"])
def test_what_does_not_fit_into_a_period_is_refused_and_says_what_would(period):
    states = {1: state()}
    account = daily(**{f"{period}_micros": 50})
    reserve(states, 30, account)
    assert reserve(states, 21, account) == Refusal(1, period, 20, FRIDAY)
    assert isinstance(reserve(states, 20, account), list)


def test_the_total_goes_before_the_periods():
    states = {1: state(10)}
    assert reserve(states, 11) == Refusal(1, "total", 10, FRIDAY)


def test_a_balance_that_is_not_there_refuses():
    assert reserve({}, 1) == Refusal(1, "total")


def test_all_accounts_or_none():
    states = {1: state(), 2: state(5), 3: state()}
    refused = reserve(states, 10, daily(1), Account(2), daily(3))
    assert refused == Refusal(2, "total", 5, 0)
    assert [one.reserved_micros for one in states.values()] == [0, 0, 0]
    assert [counted(one)[0] for one in states.values()] == [0, 0, 0]
    held = reserve(states, 5, daily(1), Account(2), daily(3))
    assert [one.day for one in held] == [FRIDAY, 0, FRIDAY]
    give(states, held, 3)
    assert [one.used_micros for one in states.values()] == [3, 3, 3]


class TestTurn:
    def test_a_new_day_begins_at_nothing_and_the_week_goes_on(self):
        one = state(day=FRIDAY, day_micros=9, week_micros=9, month_micros=9)
        one.turn(SUNDAY)
        assert counted(one) == (0, 9, 9)

    def test_monday_begins_a_week(self):
        one = state(day=SUNDAY, day_micros=9, week_micros=9, month_micros=9)
        one.turn(MONDAY)
        assert counted(one) == (0, 0, 9)

    def test_the_first_of_a_month_begins_one_within_the_week(self):
        one = state(day=DECEMBER - 1, day_micros=9, week_micros=9, month_micros=9)
        one.turn(DECEMBER)
        assert counted(one) == (0, 9, 0)

    def test_a_balance_that_never_counted_begins_at_nothing(self):
        one = state(day=0, day_micros=9, week_micros=9, month_micros=9)
        one.turn(FRIDAY)
        assert counted(one) == (0, 0, 0)

    @pytest.mark.parametrize("back", [1, 2])
    def test_a_clock_that_was_set_back_opens_nothing_anew(self, back):
        one = state(day=FRIDAY, day_micros=9, week_micros=9, month_micros=9)
        one.turn(FRIDAY - back)
        assert (one.day, counted(one)) == (FRIDAY, (9, 9, 9))

    def test_a_day_far_ahead_was_a_wrong_clock_and_does_not_close_the_limit_until_then(self):
        one = state(day=FRIDAY + 400, day_micros=50, week_micros=50, month_micros=50)
        one.turn(FRIDAY)
        assert (one.day, counted(one)) == (FRIDAY, (50, 50, 50))
        one.turn(FRIDAY + 1)
        assert one.day_micros == 0


class TestAcrossMidnight:
    def test_a_call_is_charged_to_the_day_it_began_on(self):
        states = {1: state(day=SUNDAY)}
        [held] = reserve(states, 30, day=SUNDAY)
        [today] = reserve(states, 20, day=MONDAY)
        assert counted(states[1]) == (20, 20, 50)
        give(states, [held], 25)
        assert counted(states[1]) == (20, 20, 45)
        give(states, [today], 0)
        assert counted(states[1]) == (0, 0, 25)

    def test_a_late_charge_is_counted_today(self):
        states = {1: state(day=FRIDAY)}
        assert give(states, [Held(1, 0, NOW)], 7) == 7
        assert counted(states[1]) == (7, 7, 7)

    def test_a_balance_without_such_limits_counts_nothing(self):
        states = {1: state(day=0)}
        give(states, [Held(1, 0, NOW)], 7)
        assert counted(states[1]) == (0, 0, 0)

    def test_a_hold_of_a_day_that_never_came_is_given_back(self):
        states = {1: state(day=FRIDAY + 400)}
        [held] = reserve(states, 30, day=FRIDAY + 400)
        states[1].turn(FRIDAY)
        give(states, [held], 0)
        assert counted(states[1]) == (0, 0, 0)


class TestCharges:
    def test_never_more_than_every_balance_can_pay(self):
        states = {1: state(100), 2: state(10)}
        held = reserve(states, 8, Account(1), Account(2))
        assert give(states, held, 50) == 10
        assert [one.remaining_micros for one in states.values()] == [90, 0]

    def test_an_open_ended_balance_pays_all(self):
        states = {1: State(True, 0, 0, 0)}
        held = reserve(states, 8, Account(1))
        assert give(states, held, 50) == 50
        assert states[1].remaining_micros == -50


def test_what_is_left_is_the_tightest():
    one = state(100, day=FRIDAY, day_micros=10, week_micros=45, month_micros=45)
    account = daily(day_micros=50, week_micros=60, month_micros=500)
    assert one.left(account) == 15
    assert one.left(Account(1)) == 100
    assert State(True, 0, 0, -5).left(Account(1)) is None
    # A limit that was lowered leaves nothing, not less.
    assert one.left(daily(week_micros=40)) == 0
