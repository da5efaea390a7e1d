"""The end of old rows: of the request log, and of the hours of its sums.

In many short transactions with pauses between, as on SQLite one writer at a time is all there is, and the proxy's books every
call. Nothing goes that is not in the sums yet: neither in those of its hour nor, late rows included, in those of its day.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, models
from msgspec import Struct

from apiproxy.models import RequestLog, UsageHour, UsageMark
from apiproxy.selectors.windows import day_of, hours_kept_since
from apiproxy.services.rollup import LATE, move_mark
from apiproxy.sums import DETAILED, SITE

ROWS_A_BATCH = 5_000
# On SQLite nobody else writes meanwhile.
ROWS_A_BATCH_SQLITE = 1_000
PAUSE_FACTOR = 2
"""So many times as long as a batch took, it leaves the disk to the others."""
BUDGET_S = 120.0


class Deleted(Struct):
    """`more`: the next round goes on."""

    requests: int = 0
    hours: int = 0
    more: bool = False


def delete_old(
    *,
    now: datetime,
    step: Callable[[], None] = lambda: None,
    pause: Callable[[float], None] = time.sleep,
    budget_s: float = BUDGET_S,
) -> Deleted:
    """`step` is called after each batch and may raise to stop."""
    ends = time.monotonic() + budget_s
    size = ROWS_A_BATCH_SQLITE if connection.vendor == "sqlite" else ROWS_A_BATCH
    deleted = Deleted()

    def batches(rows: models.QuerySet[Any]) -> int:
        gone = 0
        while True:
            if time.monotonic() > ends:
                deleted.more = True
                return gone
            began = time.monotonic()
            count = _delete_some(rows, size)
            gone += count
            step()
            if count < size:
                return gone
            pause(PAUSE_FACTOR * (time.monotonic() - began))

    marks = dict(UsageMark.objects.values_list("name", "until"))
    if (days := settings.REQUEST_RETENTION_DAYS) and UsageMark.DAYS in marks:
        until = min(day_of(now) - timedelta(days=days), day_of(marks[UsageMark.DAYS] - LATE))
        # First the word that these hours are not added up anew, then the rows.
        move_mark(UsageMark.LOG, until, now)
        deleted.requests = batches(RequestLog.objects.filter(at__lt=until).order_by("at"))
    if UsageMark.DAYS in marks:
        hours = UsageHour.objects.filter(start__lt=marks[UsageMark.DAYS] - LATE)
        for axis in DETAILED:
            old = hours.filter(axis=axis, start__lt=hours_kept_since(axis, now))
            deleted.hours += batches(old.order_by("start"))
        if settings.USAGE_HOUR_RETENTION_DAYS:
            old = hours.filter(start__lt=hours_kept_since(SITE, now))
            deleted.hours += batches(old.order_by("start"))
    return deleted


def _delete_some(rows: models.QuerySet[Any], size: int) -> int:
    """One statement, and on either database a transaction of its own."""
    ids = rows.values("pk")[:size]
    count: int
    count, _ = rows.model._default_manager.filter(pk__in=ids).delete()
    return count
