from __future__ import annotations

import io
import json
import logging
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from quotas import ledger, selectors, services, tasks
from quotas.ledger import Reserve
from quotas.models import Balance, Hold, Lot
from quotas.selectors import Discrepancy
from quotas.terms import Account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def abandoned():
    balance = services.open_balance(total_micros=100)
    ledger.book([Reserve("r1", (Account(balance.pk),), 40)], [], holder_id="dead")
    return balance


def run(command):
    out = io.StringIO()
    call_command(command, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_sweep_is_a_task_and_a_command(abandoned, caplog):
    assert tasks.sweep() == 1
    assert "refunded 1" in caplog.text
    assert run("sweep_holds") == {"refunded": 0}
    abandoned.refresh_from_db()
    assert abandoned.remaining_micros == 100


def test_the_proof_is_a_task_and_a_command(abandoned, caplog):
    caplog.set_level(logging.INFO)
    assert tasks.prove() == 0
    assert "1 balances, 0 discrepancies" in caplog.text
    assert run("prove_ledger") == {"ok": True, "balances": 1, "discrepancies": []}


def test_a_proof_that_fails_says_where_and_ends_badly(abandoned):
    Balance.objects.update(used_micros=1, remaining_micros=59)
    assert tasks.prove() == 2
    out = io.StringIO()
    with pytest.raises(CommandError, match="does not add up"):
        call_command("prove_ledger", stdout=out)
    assert "used is 1 micros, the ledger says 0" in out.getvalue()


class TestWhatHangsOnABalance:
    """The proof looks at more than sums."""

    def columns(self):
        return {(one.column, one.balance_micros) for one in selectors.prove()[1]}

    @pytest.fixture
    def balance(self):
        return services.open_balance(total_micros=100)

    @pytest.mark.parametrize(
        ("counts", "columns"),
        [
            ({"day_micros": 5, "week_micros": 5, "month_micros": 5}, {("week", 5), ("month", 5)}),
            ({"day_micros": -1}, {("day", -1)}),
            ({"day_micros": 3, "week_micros": 0}, {("day", 3)}),
        ],
    )
    def test_counts_by_day(self, balance, counts, columns):
        Balance.objects.update(day=0, **counts)
        assert self.columns() == set()
        Balance.objects.update(day=740_000)
        assert self.columns() == columns

    def test_lots(self, balance):
        now = timezone.now()
        entry = balance.entries.get()
        lot = Lot.objects.create(
            balance=balance, entry=entry, left_micros=100, expires_at=now + timedelta(days=1)
        )
        assert self.columns() == set()
        Lot.objects.update(left_micros=101)
        assert selectors.prove()[1] == [Discrepancy(balance.pk, "lots", 101, 100)]
        Lot.objects.update(left_micros=7, expires_at=now - timedelta(hours=1))
        assert self.columns() == {("lots", 7)}
        lot.delete()
        Balance.objects.update(shared_out_micros=3)
        assert self.columns() == {("lots", 3)}

    def test_reservations_that_nobody_closes(self, abandoned):
        assert self.columns() == set()
        Hold.objects.update(created_at=timezone.now() - timedelta(hours=1))
        assert self.columns() == {("orphaned", 40)}
        services.beat(holder_id="dead")
        assert self.columns() == set()
