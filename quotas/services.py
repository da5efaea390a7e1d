"""Writes outside the hot path: balances, prices, the life signs of processes, the sweep."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from quotas import ledger
from quotas.models import Balance, Entry, Hold, Holder

_SWEEP_BATCH = 500


@transaction.atomic
def open_balance(*, total_micros: int, label: str = "") -> Balance:
    """A balance whose whole total is its first grant. Raises ValueError below zero."""
    if total_micros < 0:
        raise ValueError("a balance starts at zero or more")
    balance = Balance.objects.create(
        label=label, total_micros=total_micros, remaining_micros=total_micros
    )
    Entry.objects.create(
        balance=balance, kind=Entry.Kind.GRANT, amount_micros=total_micros, reason="opened"
    )
    return balance


@transaction.atomic
def adjust(*, balance_id: int, amount_micros: int, reason: str) -> Balance:
    """Add to the total, or take from what remains. Raises ValueError when less remains than is to be taken."""
    changed = Balance.objects.filter(pk=balance_id, remaining_micros__gte=-amount_micros).update(
        total_micros=F("total_micros") + amount_micros,
        remaining_micros=F("remaining_micros") + amount_micros,
    )
    if not changed:
        raise ValueError("less remains than is to be taken away")
    kind = Entry.Kind.GRANT if amount_micros >= 0 else Entry.Kind.ADJUST
    Entry.objects.create(
        balance_id=balance_id, kind=kind, amount_micros=amount_micros, reason=reason
    )
    return Balance.objects.get(pk=balance_id)


def beat(*, holder_id: str) -> None:
    """Say that this process lives, by the database's own clock."""
    if not Holder.objects.filter(pk=holder_id).update(beat_at=Now()):
        Holder.objects.create(
            id=holder_id, host=socket.gethostname()[:200], pid=os.getpid(), beat_at=Now()
        )


def leave(*, holder_id: str) -> None:
    """The process ends in order; holds it could not close are the next sweep's."""
    Holder.objects.filter(pk=holder_id).delete()


def sweep(*, lease_s: float) -> int:
    """Refund the holds of processes that gave no life sign for `lease_s`; how many there were.

    Run it as often as you like, in as many processes: each hold is closed by whoever deletes it.
    """
    living = Holder.objects.filter(beat_at__gte=Now() - timedelta(seconds=lease_s))
    swept = 0
    while True:
        abandoned = list(
            Hold.objects.exclude(holder_id__in=living.values("id"))
            .order_by("request_id")
            .values_list("request_id", "balance_id")[:_SWEEP_BATCH]
        )
        if not abandoned:
            break
        closes = [
            ledger.Close(request_id, balance_id, 0, "the process serving the call died")
            for request_id, balance_id in abandoned
        ]
        _, closed = ledger.book([], closes, holder_id="")
        swept += sum(booked.accepted for booked in closed)
    # Longer than any clock trouble: a process that is only frozen finds its row again.
    Holder.objects.filter(beat_at__lt=Now() - timedelta(days=1)).delete()
    return swept
