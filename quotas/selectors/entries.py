"""The newest entries of a balance, as its holder reads them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from msgspec import Struct

from quotas.models import Entry


class Line(Struct, frozen=True):
    """`amount_micros` as the balance felt it: what was used is below zero."""

    at: datetime
    kind: str
    amount_micros: int
    reason: str
    request_id: str


def lines_of(
    balance_ids: Collection[int], *, kinds: Collection[str] = (), count: int = 50
) -> list[Line]:
    """Newest first; of all kinds unless some are named."""
    rows = Entry.objects.filter(balance__in=balance_ids)
    if kinds:
        rows = rows.filter(kind__in=kinds)
    return [
        Line(
            entry.created_at,
            entry.kind,
            -entry.amount_micros if entry.kind == Entry.Kind.SETTLE else entry.amount_micros,
            entry.reason,
            entry.request_id or "",
        )
        for entry in rows.order_by("-id")[:count]
    ]
