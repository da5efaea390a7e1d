"""Whatever is done to several balances in whatever order: they add up, nobody overdraws, and the ledger is the sum of what was done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from gateway.lib.errors import Conflict
from quotas import ledger, selectors, services
from quotas.ledger import Close, Reserve
from quotas.models import Balance, Code, Hold
from quotas.terms import Account

pytestmark = pytest.mark.django_db

DAY, WEEK = 800, 2_000
WHICH = st.sets(st.integers(0, 2), min_size=1)
AMOUNTS = st.integers(0, 700)


class Ledger(RuleBasedStateMachine):
    """Three balances: with a total, with limits by day and week, without an end. Beside them the plain arithmetic."""

    calls = Bundle("calls")

    def __init__(self):
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.balances = [
            services.open_balance(total_micros=1_000),
            services.open_balance(total_micros=3_000),
            services.open_balance(open_ended=True),
        ]
        self.accounts = [
            Account(self.balances[0].pk),
            Account(self.balances[1].pk, day_micros=DAY, week_micros=WEEK),
            Account(self.balances[2].pk),
        ]
        campaign = services.save_campaign(
            campaign=None,
            values={"name": "gift", "amount_micros": 400, "credit_days": 1, "once_each": False},
        )
        services.make_words(campaign=campaign, words=["GIFT"], max_uses=3)
        self.number = 0
        self.holds = {}
        self.swept = {}
        self.used = [0, 0, 0]
        self.total = [1_000, 3_000, 0]
        self.counted = 0
        """In the day of the second balance: used and reserved."""

    def teardown(self):
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    def reserved(self, which):
        return sum(amount for on, amount in self.holds.values() if which in on)

    def left(self, which):
        return self.total[which] - self.used[which] - self.reserved(which)

    @rule(target=calls, on=WHICH, amount=AMOUNTS)
    def reserve(self, on, amount):
        self.number += 1
        request_id = f"r{self.number}"
        accounts = tuple(self.accounts[which] for which in sorted(on))
        [booked], _ = ledger.book([Reserve(request_id, accounts, amount)], [], holder_id="h")
        fits = all(self.left(which) >= amount for which in on if which != 2)
        if 1 in on:
            fits = fits and self.counted + amount <= DAY
        assert booked.accepted is fits
        if fits:
            self.holds[request_id] = (on, amount)
            self.counted += amount if 1 in on else 0
        return request_id

    @rule(request_id=calls, charge=AMOUNTS)
    def close(self, request_id, charge):
        """Also what is closed already, was refused, or was swept."""
        _, [booked] = ledger.book([], [Close(request_id, charge, "answered")], holder_id="h")
        if request_id in self.holds:
            on, amount = self.holds.pop(request_id)
        elif request_id in self.swept and charge:
            on, amount = self.swept.pop(request_id), 0
        else:
            assert not booked.accepted
            return
        paid = min([charge, *(self.left(which) for which in on if which != 2)])
        assert (booked.accepted, booked.amount_micros) == (True, paid)
        for which in on:
            self.used[which] += paid
        if 1 in on:
            self.counted += paid - amount

    @rule()
    def sweep(self):
        assert services.sweep(lease_s=60) == len(self.holds)
        for request_id, (on, amount) in self.holds.items():
            self.swept[request_id] = on
            self.counted -= amount if 1 in on else 0
        self.holds = {}

    @rule(which=st.integers(0, 2), amount=st.integers(-600, 600))
    def adjust(self, which, amount):
        fits = which == 2 or self.left(which) + amount >= 0
        try:
            services.adjust(
                balance_id=self.balances[which].pk, amount_micros=amount, reason="by hand"
            )
        except ValueError:
            assert not fits
        else:
            assert fits
            self.total[which] += amount

    @rule(which=st.integers(0, 1), total=st.integers(0, 4_000))
    def set_total(self, which, total):
        fits = total >= self.total[which] - self.left(which)
        try:
            services.set_total(balance_id=self.balances[which].pk, total_micros=total)
        except ValueError:
            assert not fits
        else:
            assert fits
            self.total[which] = total

    @rule(which=st.integers(0, 1))
    def redeem(self, which):
        usable = Code.objects.get().uses < 3
        try:
            services.redeem(code="gift", balance=self.balances[which])
        except Conflict:
            assert not usable
        else:
            assert usable
            self.total[which] += 400

    @rule(days=st.sampled_from([0, 2]))
    def expire(self, days):
        before = [self.left(which) for which in (0, 1)]
        services.expire_lots(now=timezone.now() + timedelta(days=days))
        for which in (0, 1):
            gone = self.total[which] - Balance.objects.get(pk=self.balances[which].pk).total_micros
            assert 0 <= gone <= min(before[which], 1_200 * bool(days))
            self.total[which] -= gone

    @invariant()
    def it_adds_up(self):
        for which, one in enumerate(self.balances):
            one.refresh_from_db()
            spent = (one.used_micros, one.reserved_micros)
            assert spent == (self.used[which], self.reserved(which))
            assert one.total_micros == self.total[which]
            assert one.remaining_micros == self.left(which)
            assert one.open_ended or one.remaining_micros >= 0
        assert self.balances[1].day_micros == self.counted
        assert Hold.objects.count() == sum(len(on) for on, _ in self.holds.values())
        assert selectors.prove()[1] == []


def test_whatever_is_done(db):
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
