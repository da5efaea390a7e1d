from __future__ import annotations

import threading

import pytest
from django.db import connection

from quotas import ledger, selectors, services
from quotas.ledger import Close, Reserve
from quotas.models import Balance, Entry, Hold

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def balance() -> Balance:
    return services.open_balance(total_micros=10_000, label="Alice")


def reserve(balance, amount, request_id="r1", holder="h1"):
    [booked], _ = ledger.book([Reserve(request_id, balance.pk, amount)], [], holder_id=holder)
    return booked


def close(balance, charge, request_id="r1", reason="answered"):
    _, [booked] = ledger.book([], [Close(request_id, balance.pk, charge, reason)], holder_id="h1")
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
    same = Close("r1", balance.pk, 3_000, "answered")
    ledger.book([], [same, same], holder_id="h1")
    assert columns(balance) == (3_000, 0, 7_000)
    assert proves()


def test_closing_what_was_never_reserved_books_nothing(balance):
    assert not close(balance, 3_000).accepted
    assert columns(balance) == (0, 0, 10_000)


def test_a_call_can_be_closed_in_the_batch_that_reserves_it(balance):
    ledger.book(
        [Reserve("r1", balance.pk, 4_000)],
        [Close("r1", balance.pk, 0, "given up")],
        holder_id="h1",
    )
    assert columns(balance) == (0, 0, 10_000)
    assert not Hold.objects.exists()


def test_a_batch_is_served_first_come_first_served(balance):
    reserves = [Reserve(f"r{n}", balance.pk, 3_000) for n in range(5)]
    booked, _ = ledger.book(reserves, [], holder_id="h1")
    assert [b.accepted for b in booked] == [True, True, True, False, False]
    assert columns(balance) == (0, 9_000, 1_000)
    assert proves()


def test_a_smaller_call_still_fits_behind_a_refused_one(balance):
    amounts = [9_000, 5_000, 1_000]
    reserves = [Reserve(f"r{n}", balance.pk, amount) for n, amount in enumerate(amounts)]
    booked, _ = ledger.book(reserves, [], holder_id="h1")
    assert [b.accepted for b in booked] == [True, False, True]


def test_a_batch_keeps_balances_apart(balance):
    other = services.open_balance(total_micros=1_000)
    booked, _ = ledger.book(
        [Reserve("r1", balance.pk, 4_000), Reserve("r2", other.pk, 4_000)], [], holder_id="h1"
    )
    assert [b.accepted for b in booked] == [True, False]
    assert columns(other) == (0, 0, 1_000)


def test_a_batch_may_be_larger_than_a_statement(balance):
    count = ledger.ROWS_A_STATEMENT * 2 + 1
    reserves = [Reserve(f"r{n}", balance.pk, 1) for n in range(count)]
    ledger.book(reserves, [], holder_id="h1")
    closes = [Close(f"r{n}", balance.pk, 1, "answered") for n in range(count)]
    ledger.book([], closes, holder_id="h1")
    assert columns(balance) == (count, 0, 10_000 - count)
    assert proves()


def test_many_at_once_never_take_more_than_there_is():
    balance = services.open_balance(total_micros=10)
    accepted = []

    def take(worker):
        for n in range(10):
            [booked], _ = ledger.book([Reserve(f"{worker}-{n}", balance.pk, 1)], [], holder_id="h")
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
