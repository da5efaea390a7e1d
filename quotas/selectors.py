"""Reads of the ledger: receipts, the proof, and the processes that hold reservations."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from django.db.models import (
    BigIntegerField,
    BooleanField,
    Count,
    ExpressionWrapper,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce, Now
from msgspec import Struct

from quotas import pricing
from quotas.models import Balance, Entry, Hold, Holder, Multiplier, Price


class Receipt(Struct, frozen=True):
    """`state`: open (the call runs), settled or refunded. `refunded_micros` is what went back."""

    request_id: str
    state: str
    reserved_micros: int
    settled_micros: int
    refunded_micros: int
    reason: str


def receipt(request_id: str) -> Receipt | None:
    """None when nothing was ever reserved for the request."""
    hold = Hold.objects.filter(request_id=request_id).first()
    if hold is not None:
        return Receipt(request_id, "open", hold.amount_micros, 0, 0, "the call is running")
    entries = list(Entry.objects.filter(request_id=request_id).order_by("id"))
    if not entries:
        return None
    reserved = sum(entry.reserved_micros for entry in entries)
    settled = sum(e.amount_micros for e in entries if e.kind == Entry.Kind.SETTLE)
    return Receipt(
        request_id=request_id,
        state="settled" if settled else "refunded",
        reserved_micros=reserved,
        settled_micros=settled,
        refunded_micros=max(reserved - settled, 0),
        reason="; ".join(entry.reason for entry in entries if entry.reason),
    )


def price_list() -> pricing.PriceList:
    return pricing.PriceList(
        (
            pricing.Price(
                pattern=price.pattern,
                per_call_micros=price.per_call_micros,
                input_micros_per_million=price.input_micros_per_million,
                cached_micros_per_million=price.cached_micros_per_million,
                output_micros_per_million=price.output_micros_per_million,
                thinking_micros_per_million=price.thinking_micros_per_million,
            )
            for price in Price.objects.order_by("id")
        ),
        {one.feature: Fraction(one.factor) for one in Multiplier.objects.all()},
    )


class Process(Struct, frozen=True):
    """A process that can hold reservations. `holds`: calls it serves now that cost something."""

    host: str
    pid: int
    beat_at: datetime
    alive: bool
    holds: int


def processes(*, lease_s: float) -> list[Process]:
    """Those that beat within the last day; one that gave no life sign for `lease_s` is dead."""
    living = Q(beat_at__gte=Now() - timedelta(seconds=lease_s))
    held = Hold.objects.filter(holder_id=OuterRef("pk")).values("holder_id")
    rows = Holder.objects.annotate(
        alive=ExpressionWrapper(living, output_field=BooleanField()),
        holds=Coalesce(Subquery(held.annotate(n=Count("*")).values("n")), Value(0)),
    )
    return [
        Process(row.host, row.pid, row.beat_at, row.alive, row.holds)
        for row in rows.order_by("-alive", "host", "pid")
    ]


class Discrepancy(Struct, frozen=True):
    """A column of a balance that is not the sum of its ledger rows."""

    balance_id: int
    column: str
    balance_micros: int
    ledger_micros: int


def prove() -> tuple[int, list[Discrepancy]]:
    """(balances checked, what does not add up). One statement, hence one instant, even while calls run."""
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
    return checked, wrong


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
