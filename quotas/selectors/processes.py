"""The processes that hold reservations."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import (
    BooleanField,
    Count,
    ExpressionWrapper,
    OuterRef,
    Q,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce, Now
from msgspec import Struct

from quotas.models import Hold, Holder


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
