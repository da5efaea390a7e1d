from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from quotas import ledger, selectors, services, tasks
from quotas.ledger import Close, Reserve
from quotas.models import Balance, Entry, Hold, Lot
from quotas.terms import Account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def balance():
    return services.open_balance(total_micros=100)


@pytest.fixture
def now():
    return timezone.now()


def give(balance, micros, expires_at):
    entry = services.move(
        balance_id=balance.pk, amount_micros=micros, kind=Entry.Kind.REDEEM, reason="a gift"
    )
    return services.add_lot(entry=entry, expires_at=expires_at)


def reserve(balance, amount, request_id="r1"):
    ledger.book([Reserve(request_id, (Account(balance.pk),), amount)], [], holder_id="h1")


def use(balance, micros, request_id="r1"):
    reserve(balance, micros, request_id)
    ledger.book([], [Close(request_id, micros, "answered")], holder_id="h1")


def remaining(balance):
    balance.refresh_from_db()
    return balance.remaining_micros


def shown(balance):
    balance.refresh_from_db()
    return [one.micros for one in selectors.expiring(balance)]


def proves():
    return selectors.prove()[1] == []


def test_what_is_not_used_in_time_is_taken_away(balance, now):
    give(balance, 50, now + timedelta(days=1))
    assert services.expire_lots(now=now) == (0, 0)
    assert services.expire_lots(now=now + timedelta(days=1)) == (1, 50)
    assert remaining(balance) == 100
    entry = Entry.objects.get(kind=Entry.Kind.EXPIRE)
    assert (entry.amount_micros, entry.reason) == (-50, "unspent of: a gift")
    assert services.expire_lots(now=now + timedelta(days=2)) == (0, 0)
    assert not Lot.objects.exists()
    assert proves()


def test_what_is_used_comes_from_the_lot_that_expires_first(balance, now):
    give(balance, 40, now + timedelta(days=9))
    give(balance, 30, now + timedelta(days=2))
    use(balance, 50)
    assert shown(balance) == [20]
    assert services.expire_lots(now=now + timedelta(days=3)) == (0, 0)
    assert services.expire_lots(now=now + timedelta(days=10)) == (1, 20)
    assert remaining(balance) == 100
    assert proves()


def test_what_was_used_before_a_lot_is_not_taken_from_it(balance, now):
    use(balance, 60)
    give(balance, 30, now + timedelta(days=1))
    assert shown(balance) == [30]
    assert services.expire_lots(now=now + timedelta(days=1)) == (1, 30)
    assert remaining(balance) == 40
    assert proves()


def test_what_is_reserved_then_waits_for_the_end_of_the_call(balance, now):
    give(balance, 50, now + timedelta(days=1))
    reserve(balance, 120)
    later = now + timedelta(days=1)
    assert services.expire_lots(now=later) == (0, 0)
    assert remaining(balance) == 30
    # The call used ten: forty of the lot go back, and are over.
    ledger.book([], [Close("r1", 10, "answered")], holder_id="h1")
    assert services.expire_lots(now=later) == (1, 40)
    assert remaining(balance) == 100
    assert proves()


def test_what_was_taken_away_by_hand_does_not_expire_once_more(balance, now):
    give(balance, 50, now + timedelta(days=1))
    services.adjust(balance_id=balance.pk, amount_micros=-130, reason="mistake")
    assert services.expire_lots(now=now + timedelta(days=1)) == (1, 20)
    assert not Lot.objects.exists()
    assert remaining(balance) == 0
    assert proves()


def test_a_balance_without_an_end_loses_them_too(balance, now):
    services.set_total(balance_id=balance.pk, total_micros=None)
    give(balance, 50, now + timedelta(days=1))
    reserve(balance, 500)
    assert services.expire_lots(now=now + timedelta(days=1)) == (1, 50)
    assert remaining(balance) == -400
    assert proves()


def test_the_task_does_it(balance, now):
    give(balance, 50, now - timedelta(seconds=1))
    assert tasks.expire_lots() == 1
    assert tasks.expire_lots() == 0
    assert Balance.objects.get(pk=balance.pk).total_micros == 100


def test_a_lot_that_is_over_is_not_shown(balance, now):
    give(balance, 50, now - timedelta(seconds=1))
    assert shown(balance) == []


def test_what_a_call_that_runs_takes_from_a_lot_is_not_taken_from_other_credits(balance, now):
    """The call began in time, so the lot pays first, however late it ends."""
    give(balance, 50, now + timedelta(days=1))
    reserve(balance, 120)
    later = now + timedelta(days=1)
    services.expire_lots(now=later)
    ledger.book([], [Close("r1", 120, "answered")], holder_id="h1")
    services.expire_lots(now=later)
    # Fifty of the lot, seventy of the hundred.
    assert remaining(balance) == 30
    assert not Lot.objects.filter(left_micros__gt=0).exists()
    assert proves()


def test_a_call_that_runs_waits_for_as_much_of_each_lot_as_it_may_use(balance, now):
    first = give(balance, 50, now + timedelta(days=1))
    give(balance, 40, now + timedelta(days=2))
    reserve(balance, 70)
    later = now + timedelta(days=3)
    assert services.expire_lots(now=later) == (1, 20)
    first.refresh_from_db()
    assert first.left_micros == 50
    ledger.book([], [Close("r1", 60, "answered")], holder_id="h1")
    assert services.expire_lots(now=later) == (1, 10)
    assert remaining(balance) == 100
    assert not Lot.objects.exists()
    assert proves()


def test_a_call_that_begins_afterwards_keeps_no_lot(balance, now):
    give(balance, 50, now + timedelta(days=1))
    reserve(balance, 60)
    Hold.objects.update(created_at=now + timedelta(days=1, seconds=1))
    assert services.expire_lots(now=now + timedelta(days=1, minutes=1)) == (1, 50)
    assert remaining(balance) == 40
    assert proves()
