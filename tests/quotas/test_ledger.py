from __future__ import annotations

import threading
import time

import pytest
from django.db import connection
from django.db.models import F

from quotas import ledger, selectors, services
from quotas.ledger import Close, Reserve
from quotas.models import Balance, Entry, Hold, Limits
from quotas.periods import day_of
from quotas.terms import Account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def balance() -> Balance:
    return services.open_balance(total_micros=10_000, label="Alice")


def reserve(balance, amount, request_id="r1", holder="h1"):
    [booked], _ = ledger.book(
        [Reserve(request_id, (Account(balance.pk),), amount)], [], holder_id=holder
    )
    return booked


def close(balance, charge, request_id="r1", reason="answered"):
    _, [booked] = ledger.book([], [Close(request_id, charge, reason)], holder_id="h1")
    return booked


def columns(balance):
    balance.refresh_from_db()
    return balance.used_micros, balance.reserved_micros, balance.remaining_micros


def proves():
    return selectors.prove()[1] == []


def test_a_reservation_is_taken_from_what_remains(balance):
    assert reserve(balance, 4_000).remaining_micros == 6_000
    assert columns(balance) == (0, 4_000, 6_000)
    assert proves()


def test_more_than_remains_is_refused_and_leaves_no_trace(balance):
    assert not reserve(balance, 10_001).accepted
    assert columns(balance) == (0, 0, 10_000)
    assert not Hold.objects.exists()


def test_a_settled_call_costs_its_price_and_gives_the_rest_back(balance):
    reserve(balance, 4_000)
    assert close(balance, 3_000).amount_micros == 3_000
    assert columns(balance) == (3_000, 0, 7_000)
    receipt = selectors.receipt("r1")
    assert (
        receipt.state,
        receipt.reserved_micros,
        receipt.settled_micros,
        receipt.refunded_micros,
    ) == (
        "settled",
        4_000,
        3_000,
        1_000,
    )
    assert proves()


def test_a_refund_gives_everything_back_and_says_why(balance):
    reserve(balance, 4_000)
    close(balance, 0, reason="failed: upstream_failed")
    assert columns(balance) == (0, 0, 10_000)
    receipt = selectors.receipt("r1")
    assert (receipt.state, receipt.refunded_micros) == ("refunded", 4_000)
    assert receipt.reason == "failed: upstream_failed"
    assert proves()


def test_a_running_call_has_an_open_receipt(balance):
    reserve(balance, 4_000)
    assert selectors.receipt("r1").state == "open"
    assert selectors.receipt("never") is None


def test_an_answer_dearer_than_its_reservation_takes_the_rest_from_the_balance(balance):
    reserve(balance, 4_000)
    close(balance, 5_000)
    assert columns(balance) == (5_000, 0, 5_000)
    assert proves()


def test_an_answer_dearer_than_the_balance_ends_at_zero(balance):
    reserve(balance, 4_000)
    assert close(balance, 50_000).amount_micros == 10_000
    assert columns(balance) == (10_000, 0, 0)
    assert proves()


def test_closing_twice_books_once(balance):
    reserve(balance, 4_000)
    close(balance, 3_000)
    assert not close(balance, 3_000).accepted
    assert not close(balance, 0).accepted
    assert columns(balance) == (3_000, 0, 7_000)
    assert Entry.objects.filter(request_id="r1").count() == 1


def test_the_same_close_twice_in_one_batch_books_once(balance):
    reserve(balance, 4_000)
    same = Close("r1", 3_000, "answered")
    ledger.book([], [same, same], holder_id="h1")
    assert columns(balance) == (3_000, 0, 7_000)
    assert proves()


def test_closing_what_was_never_reserved_books_nothing(balance):
    assert not close(balance, 3_000).accepted
    assert columns(balance) == (0, 0, 10_000)


def test_a_call_can_be_closed_in_the_batch_that_reserves_it(balance):
    ledger.book(
        [Reserve("r1", (Account(balance.pk),), 4_000)],
        [Close("r1", 0, "given up")],
        holder_id="h1",
    )
    assert columns(balance) == (0, 0, 10_000)
    assert not Hold.objects.exists()


def test_a_batch_is_served_first_come_first_served(balance):
    reserves = [Reserve(f"r{n}", (Account(balance.pk),), 3_000) for n in range(5)]
    booked, _ = ledger.book(reserves, [], holder_id="h1")
    assert [b.accepted for b in booked] == [True, True, True, False, False]
    assert columns(balance) == (0, 9_000, 1_000)
    assert proves()


def test_a_smaller_call_still_fits_behind_a_refused_one(balance):
    amounts = [9_000, 5_000, 1_000]
    reserves = [
        Reserve(f"r{n}", (Account(balance.pk),), amount) for n, amount in enumerate(amounts)
    ]
    booked, _ = ledger.book(reserves, [], holder_id="h1")
    assert [b.accepted for b in booked] == [True, False, True]


def test_a_batch_keeps_balances_apart(balance):
    other = services.open_balance(total_micros=1_000)
    booked, _ = ledger.book(
        [Reserve("r1", (Account(balance.pk),), 4_000), Reserve("r2", (Account(other.pk),), 4_000)],
        [],
        holder_id="h1",
    )
    assert [b.accepted for b in booked] == [True, False]
    assert columns(other) == (0, 0, 1_000)


def test_a_batch_may_be_larger_than_a_statement(balance):
    count = ledger.ROWS_A_STATEMENT * 2 + 1
    reserves = [Reserve(f"r{n}", (Account(balance.pk),), 1) for n in range(count)]
    ledger.book(reserves, [], holder_id="h1")
    closes = [Close(f"r{n}", 1, "answered") for n in range(count)]
    ledger.book([], closes, holder_id="h1")
    assert columns(balance) == (count, 0, 10_000 - count)
    assert proves()


def test_many_at_once_never_take_more_than_there_is():
    balance = services.open_balance(total_micros=10)
    accepted = []

    def take(worker):
        for n in range(10):
            [booked], _ = ledger.book(
                [Reserve(f"{worker}-{n}", (Account(balance.pk),), 1)], [], holder_id="h"
            )
            accepted.append(booked.accepted)
        connection.close()

    threads = [threading.Thread(target=take, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(accepted) == 10
    assert columns(balance) == (0, 10, 0)


class TestSweep:
    def test_holds_of_the_living_stay(self, balance):
        services.beat(holder_id="h1")
        reserve(balance, 4_000)
        assert services.sweep(lease_s=60) == 0
        assert columns(balance) == (0, 4_000, 6_000)

    def test_holds_of_the_dead_are_refunded(self, balance):
        services.beat(holder_id="h1")
        reserve(balance, 4_000)
        assert services.sweep(lease_s=-60) == 1
        assert columns(balance) == (0, 0, 10_000)
        assert selectors.receipt("r1").reason == "the process serving the call died"
        assert proves()

    def test_a_holder_that_never_gave_a_sign_is_dead(self, balance):
        reserve(balance, 4_000, holder="unheard")
        assert services.sweep(lease_s=60) == 1

    def test_a_process_that_was_only_frozen_still_charges_what_it_delivered(self, balance):
        reserve(balance, 4_000)
        services.sweep(lease_s=60)
        assert close(balance, 3_000).amount_micros == 3_000
        assert not close(balance, 3_000).accepted
        assert columns(balance) == (3_000, 0, 7_000)
        receipt = selectors.receipt("r1")
        assert (receipt.state, receipt.settled_micros) == ("settled", 3_000)
        assert proves()


def test_the_proof_finds_what_does_not_add_up(balance):
    Balance.objects.filter(pk=balance.pk).update(used_micros=1, remaining_micros=9_999)
    checked, wrong = selectors.prove()
    assert checked == 1
    assert {(w.column, w.balance_micros, w.ledger_micros) for w in wrong} == {
        ("used", 1, 0),
        ("remaining", 9_999, 10_000),
    }


def test_entries_are_neither_changed_nor_deleted(balance):
    entry = balance.entries.get()
    with pytest.raises(TypeError, match="written once"):
        entry.save()
    with pytest.raises(TypeError, match="never deleted"):
        entry.delete()


def test_adjusting_changes_the_total_and_never_takes_more_than_remains(balance):
    assert (
        services.adjust(balance_id=balance.pk, amount_micros=500, reason="gift").total_micros
        == 10_500
    )
    services.adjust(balance_id=balance.pk, amount_micros=-10_500, reason="end")
    with pytest.raises(ValueError, match="less remains"):
        services.adjust(balance_id=balance.pk, amount_micros=-1, reason="end")
    assert proves()


class TestSeveralAccounts:
    """A call is booked on its key's balance, its owner's and their group's: on all or on none."""

    @pytest.fixture
    def three(self):
        return [services.open_balance(total_micros=total) for total in (1_000, 700, 900)]

    def call(self, balances, amount, request_id="r1", **limits):
        accounts = tuple(Account(one.pk, **limits) for one in balances)
        [booked], _ = ledger.book([Reserve(request_id, accounts, amount)], [], holder_id="h1")
        return booked

    def test_all_of_them_pay_and_the_least_is_told(self, three):
        booked = self.call(three, 300)
        assert (booked.accepted, booked.remaining_micros) == (True, 400)
        assert [columns(one) for one in three] == [(0, 300, 700), (0, 300, 400), (0, 300, 600)]
        close(three[0], 200)
        assert [columns(one) for one in three] == [(200, 0, 800), (200, 0, 500), (200, 0, 700)]
        receipt = selectors.receipt("r1")
        assert (receipt.settled_micros, receipt.refunded_micros) == (200, 100)
        assert receipt.balance_ids == tuple(one.pk for one in three)
        assert proves()

    def test_one_that_cannot_pay_refuses_for_all_and_is_named(self, three):
        booked = self.call(three, 800)
        assert not booked.accepted
        assert (booked.refusal.balance_id, booked.refusal.limit) == (three[1].pk, "total")
        assert booked.refusal.left_micros == 700
        assert [columns(one)[1] for one in three] == [0, 0, 0]
        assert not Hold.objects.exists()

    def test_a_refund_goes_back_to_all(self, three):
        self.call(three, 300)
        close(three[0], 0, reason="failed")
        assert [columns(one) for one in three] == [(0, 0, 1_000), (0, 0, 700), (0, 0, 900)]
        assert Entry.objects.filter(kind="refund", request_id="r1").count() == 3
        assert proves()

    def test_a_charge_is_what_every_one_of_them_can_pay(self, three):
        self.call(three, 300)
        assert close(three[0], 5_000).amount_micros == 700
        assert [columns(one)[0] for one in three] == [700, 700, 700]
        assert proves()

    def test_the_sweep_refunds_all_and_a_late_charge_is_booked_on_all(self, three):
        self.call(three, 300, day_micros=10_000)
        assert services.sweep(lease_s=60) == 1
        assert [columns(one)[1] for one in three] == [0, 0, 0]
        assert [Balance.objects.get(pk=one.pk).day_micros for one in three] == [0, 0, 0]
        assert close(three[0], 250).amount_micros == 250
        assert [columns(one)[0] for one in three] == [250, 250, 250]
        # What is charged late counts for the day's limit too.
        assert [one.day_micros for one in three] == [250, 250, 250]
        assert not close(three[0], 250).accepted
        assert proves()

    def test_calls_of_one_batch_share_some_and_not_others(self, three):
        a, b, c = (Account(one.pk) for one in three)
        reserves = [
            Reserve("r1", (a, b), 600),
            Reserve("r2", (b, c), 200),
            Reserve("r3", (c, a), 400),
        ]
        booked, _ = ledger.book(reserves, [], holder_id="h1")
        assert [one.accepted for one in booked] == [True, False, True]
        assert [columns(one)[1] for one in three] == [1_000, 600, 400]
        assert proves()

    def test_an_open_ended_balance_pays_what_the_others_allow(self, three):
        free = services.open_balance(open_ended=True)
        booked = self.call([free, three[0]], 300)
        assert booked.remaining_micros == 700
        close(free, 300)
        assert columns(free) == (300, 0, -300)
        assert proves()


class TestDays:
    def call(self, balance, amount, request_id, **limits):
        account = Account(balance.pk, **limits)
        [booked], _ = ledger.book([Reserve(request_id, (account,), amount)], [], holder_id="h1")
        return booked

    def at(self, monkeypatch, day, hour=12):
        """The ledger's own clock."""
        real = ledger.datetime

        class Clock(real):
            @classmethod
            def now(cls, zone=None):
                return real(2026, 11, day, hour, tzinfo=zone)

        monkeypatch.setattr(ledger, "datetime", Clock)

    def test_a_limit_by_day_ends_at_midnight_and_calls_that_run_belong_to_their_day(
        self, balance, monkeypatch
    ):
        # The proof would ask who still holds what was reserved so long ago.
        services.beat(holder_id="h1")
        with monkeypatch.context() as patch:
            self.at(patch, 20, hour=23)
            assert self.call(balance, 600, "r1", day_micros=1_000).remaining_micros == 400
            refused = self.call(balance, 500, "r2", day_micros=1_000)
            assert (refused.refusal.limit, refused.refusal.left_micros) == ("day", 400)
        with monkeypatch.context() as patch:
            self.at(patch, 21, hour=0)
            assert self.call(balance, 900, "r3", day_micros=1_000).accepted
            close(balance, 100, "r1")
        balance.refresh_from_db()
        assert (balance.day_micros, balance.week_micros) == (900, 1_000)
        assert proves()

    def test_what_remains_after_the_charge_knows_the_limit_by_day(self, balance):
        account = Account(balance.pk, day_micros=1_000)
        assert self.call(balance, 600, "r1", day_micros=1_000).remaining_micros == 400
        closes = [Close("r1", 100, "answered", accounts=(account,))]
        _, [booked] = ledger.book([], closes, holder_id="h1")
        assert booked.remaining_micros == 900

    def test_a_clock_that_steps_back_opens_nothing_anew(self, balance, monkeypatch):
        for number, day in enumerate((21, 20, 19)):
            with monkeypatch.context() as patch:
                self.at(patch, day)
                booked = self.call(balance, 600, f"r{number}", day_micros=1_000)
                assert booked.accepted is (number == 0)

    def test_a_clock_that_was_far_ahead_closes_the_limit_for_a_day_at_most(
        self, balance, monkeypatch
    ):
        Balance.objects.filter(pk=balance.pk).update(day=day_of(4e9, ""), day_micros=1_000)
        with monkeypatch.context() as patch:
            self.at(patch, 20)
            assert not self.call(balance, 600, "r1", day_micros=1_000).accepted
            # What was refused has put the day right.
        with monkeypatch.context() as patch:
            self.at(patch, 21)
            assert self.call(balance, 600, "r2", day_micros=1_000).accepted

    def test_a_first_limit_knows_what_was_used_and_what_runs(self, balance):
        reserve(balance, 300)
        close(balance, 250)
        self.call(balance, 100, "r2", day_micros=10_000)
        Balance.objects.filter(pk=balance.pk).update(day=5, day_micros=0, week_micros=0)
        services.count_periods(balance_id=balance.pk)
        balance.refresh_from_db()
        assert balance.day_micros == balance.week_micros == 350
        close(balance, 0, "r2")
        balance.refresh_from_db()
        assert balance.day_micros == balance.month_micros == 250

    def test_what_was_used_while_there_was_no_limit_counts_when_there_is_one_again(self, balance):
        self.call(balance, 100, "r1", day_micros=1_000)
        close(balance, 100)
        reserve(balance, 500, "r2")
        close(balance, 500, "r2")
        services.count_periods(balance_id=balance.pk)
        balance.refresh_from_db()
        assert balance.day_micros == balance.week_micros == balance.month_micros == 600

    def test_a_wallet_is_counted_anew_when_its_limit_comes_back(self, balance):
        self.call(balance, 100, "r1", month_micros=1_000)
        close(balance, 100)
        reserve(balance, 500, "r2")
        close(balance, 500, "r2")
        # The last call that was counted was on the day before.
        Balance.objects.filter(pk=balance.pk).update(day=F("day") - 1)
        balance.refresh_from_db()
        services.balance_for(balance=balance, rows=(Limits(month_micros=1_000),), label="")
        balance.refresh_from_db()
        assert balance.month_micros == 600

    @pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
    def test_where_a_limit_names_no_zone_the_days_are_the_site_s(self, balance, settings, zone):
        """At any time it is another day than in Greenwich in one of them."""
        settings.TIME_ZONE = zone
        limits = Limits(day_micros=1_000)
        there = day_of(time.time(), zone)
        Balance.objects.filter(pk=balance.pk).update(day=there - 1)
        balance.refresh_from_db()
        services.balance_for(balance=balance, rows=(limits,), label="")
        balance.refresh_from_db()
        assert balance.day == there
        assert selectors.terms("k1", balance, limits).account.time_zone == zone

    def test_what_remains_of_the_day_after_a_call_of_the_day_before(self, balance, monkeypatch):
        account = Account(balance.pk, day_micros=1_000)
        with monkeypatch.context() as patch:
            self.at(patch, 20, hour=23)
            self.call(balance, 600, "r1", day_micros=1_000)
        with monkeypatch.context() as patch:
            self.at(patch, 21, hour=0)
            closes = [Close("r1", 500, "answered", accounts=(account,))]
            _, [booked] = ledger.book([], closes, holder_id="h1")
        assert booked.remaining_micros == 1_000


@pytest.mark.parametrize("amount", [10**18 + 1, -(10**18) - 1])
def test_no_more_is_moved_than_a_balance_may_hold(balance, amount):
    with pytest.raises(ValueError, match="cannot be moved"):
        services.move(balance_id=balance.pk, amount_micros=amount, kind=Entry.Kind.GRANT)
    with pytest.raises(ValueError, match="too much"):
        services.move(balance_id=balance.pk, amount_micros=10**18, kind=Entry.Kind.GRANT)
    with pytest.raises(ValueError, match="cannot be moved"):
        services.move(balance_id=balance.pk, amount_micros=1, kind=Entry.Kind.SETTLE)
    assert proves()


def test_a_total_is_set_between_what_is_spent_and_no_end(balance):
    reserve(balance, 4_000)
    with pytest.raises(ValueError, match="used or reserved"):
        services.set_total(balance_id=balance.pk, total_micros=3_999)
    assert services.set_total(balance_id=balance.pk, total_micros=4_000).remaining_micros == 0
    assert services.set_total(balance_id=balance.pk, total_micros=None).open_ended
    reserve(balance, 9_000, "r2")
    assert columns(balance) == (0, 13_000, -9_000)
    bounded = services.set_total(balance_id=balance.pk, total_micros=13_500)
    assert (bounded.open_ended, bounded.remaining_micros) == (False, 500)
    assert proves()
