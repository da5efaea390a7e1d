"""Whether every balance is the sum of its ledger rows, and what hangs on it is plausible."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import BigIntegerField, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from msgspec import Struct

from quotas.models import Balance, Entry, Hold, Holder, Lot


class Discrepancy(Struct, frozen=True):
    """A column of a balance that is not the sum of its ledger rows; "day", "week" or "month" counted more than was ever used or less
    than nothing; "lots" that hold more than they were given or should be gone; "orphaned" reservations that no living
    process will close and the sweep did not."""

    balance_id: int
    column: str
    balance_micros: int
    ledger_micros: int


# Long after the sweep, or the expiry of lots, should have come round.
_OVERDUE = timedelta(minutes=30)


def prove() -> tuple[int, list[Discrepancy]]:
    """(balances checked, what does not add up). The sums are one statement, hence of one instant, even while calls run."""
    balances = Balance.objects.annotate(
        granted=_sum_of(Entry.objects.filter(~Q(kind__in=[Entry.Kind.SETTLE, Entry.Kind.REFUND]))),
        settled=_sum_of(Entry.objects.filter(kind=Entry.Kind.SETTLE)),
        held=_sum_of(Hold.objects.all()),
    )
    checked = 0
    wrong: list[Discrepancy] = []
    for balance in balances.iterator():
        checked += 1
        rest = balance.granted - balance.settled - balance.held
        for column, has, should in (
            ("total", balance.total_micros, balance.granted),
            ("used", balance.used_micros, balance.settled),
            ("reserved", balance.reserved_micros, balance.held),
            ("remaining", balance.remaining_micros, rest),
        ):
            if has != should:
                wrong.append(Discrepancy(balance.pk, column, has, should))
        wrong += _implausible(balance)
    return checked, [*wrong, *_lots(), *_orphans()]


def _implausible(balance: Balance) -> list[Discrepancy]:
    """Counts by day, of a balance that has them."""
    most = balance.used_micros + balance.reserved_micros
    counts = (
        ("day", balance.day_micros, min(balance.week_micros, balance.month_micros)),
        ("week", balance.week_micros, most),
        ("month", balance.month_micros, most),
    )
    return [
        Discrepancy(balance.pk, column, has, most)
        for column, has, most in counts
        if balance.day and not 0 <= has <= most
    ]


def _lots() -> list[Discrepancy]:
    given = Q(left_micros__gte=0, left_micros__lte=F("entry__amount_micros"))
    # What a call has reserved may be over, and still wait for its end.
    overdue = Q(expires_at__lt=timezone.now() - _OVERDUE, balance__reserved_micros=0)
    wrong = Lot.objects.filter(~given | overdue).select_related("entry").order_by("pk")
    found = [
        Discrepancy(
            lot.balance_id,
            "lots",
            lot.left_micros,
            # Too much, or too late.
            lot.entry.amount_micros if lot.left_micros > lot.entry.amount_micros else 0,
        )
        for lot in wrong
    ]
    ahead = Balance.objects.filter(shared_out_micros__gt=F("used_micros")).order_by("pk")
    return found + [
        Discrepancy(one.pk, "lots", one.shared_out_micros, one.used_micros) for one in ahead
    ]


def _orphans() -> list[Discrepancy]:
    old = Hold.objects.filter(created_at__lt=Now() - _OVERDUE)
    living = Holder.objects.filter(beat_at__gte=Now() - _OVERDUE).values("id")
    sums = (
        old.exclude(holder_id__in=living)
        .order_by("balance")
        .values_list("balance")
        .annotate(held=Sum("amount_micros"))
    )
    return [Discrepancy(balance_id, "orphaned", int(held), 0) for balance_id, held in sums]


def _sum_of(rows: QuerySet[Any]) -> Coalesce:
    total = (
        rows.filter(balance=OuterRef("pk"))
        .order_by()
        .values("balance")
        .annotate(sum=Sum("amount_micros"))
        .values("sum")
    )
    # PostgreSQL sums bigint as numeric; the cast keeps both databases at whole numbers.
    return Coalesce(Subquery(total, output_field=BigIntegerField()), Value(0))
