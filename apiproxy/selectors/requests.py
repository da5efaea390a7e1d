"""Reads of single rows of the request log, newest first.

A filter that an index serves is one query. Any other is looked for backwards, a stretch of the log at a time, for a seventh of a
second at most: what was found by then is the page, and the next one goes on where it stopped. So no question, however rare what it
asks for, takes long, and a page may be short, or empty, although there is a next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from django.db.models import F, Func, QuerySet
from msgspec import Struct

from apiproxy.models import RequestLog
from quotas import selectors as quota_selectors

BUDGET_S = 0.15
LONGEST = timedelta(hours=3)
"""What began so long before a moment is taken to have ended by then; no call is known to last longer."""
# The calendar's own ends leave no room for the above.
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_SPANS = (5_000, 25_000, 50_000)


class Page(Struct):
    """`before`: the number to go on from, None at the end."""

    rows: list[RequestLog]
    before: int | None


class Unindexed(Func):
    """A column as it is, of which the database must not use the index: for a condition beside a better one."""

    template = "%(expressions)s"

    def as_sqlite(self, compiler, connection, **context):  # type: ignore[no-untyped-def]
        return super().as_sql(compiler, connection, template="+%(expressions)s", **context)


def page(
    rows: QuerySet[RequestLog],
    *,
    before: int | None,
    size: int,
    indexed: bool,
    budget_s: float = BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
) -> Page:
    """`rows` are filtered, in no order; `indexed`: by what an index serves and nothing else."""
    rows = rows.order_by("-id")
    if indexed:
        some = rows if before is None else rows.filter(id__lt=before)
        found = list(some[: size + 1])
        return Page(found[:size], found[size - 1].pk if len(found) > size else None)
    ends = clock() + budget_s
    numbers = RequestLog.objects.values_list("id", flat=True)
    # Two questions: asked for both at once, SQLite reads all.
    low = numbers.order_by("id").first() or 0
    top = before or (numbers.order_by("-id").first() or 0) + 1
    found, spans = [], iter(_SPANS)
    span = next(spans)
    while top > low:
        bottom = max(top - span, low)
        found += rows.filter(id__gte=bottom, id__lt=top)[: size + 1 - len(found)]
        if len(found) > size:
            return Page(found[:size], found[size - 1].pk)
        top = bottom
        if clock() > ends:
            break
        span = next(spans, span)
    return Page(found, top if top > low else None)


def between(
    rows: QuerySet[RequestLog], since: datetime | None, until: datetime | None
) -> QuerySet[RequestLog]:
    """Those that began in the span. Rows are numbered as calls end, so the span bounds the numbers too, and a list by number
    need not look at what lies far outside."""
    log = RequestLog.objects
    rows = rows.alias(began=Unindexed(F("at")))
    if since is not None:
        since = max(since, _EARLIEST)
        rows = rows.filter(began__gte=since)
        earlier = log.filter(at__lt=since - LONGEST).order_by("-at").values_list("id", flat=True)
        if (number := earlier.first()) is not None:
            rows = rows.filter(id__gt=number)
    if until is not None:
        until = min(until, _LATEST)
        rows = rows.filter(began__lt=until)
        later = log.filter(at__gte=until + LONGEST).order_by("at").values_list("id", flat=True)
        if (number := later.first()) is not None:
            rows = rows.filter(id__lt=number)
    return rows


def all_of(
    rows: QuerySet[RequestLog], *, indexed: bool, size: int = 1000
) -> Iterator[list[RequestLog]]:
    """For exports: page by page, so that no query, lock or snapshot is held while the client reads."""
    before = None
    while True:
        some = page(rows, before=before, size=size, indexed=indexed)
        if some.rows:
            yield some.rows
        if some.before is None:
            return
        before = some.before


def explained(request_id: str) -> tuple[RequestLog, quota_selectors.Receipt | None] | None:
    """The row of the request log and its receipt."""
    log = RequestLog.objects.filter(request_id=request_id).first()
    return None if log is None else (log, quota_selectors.receipt(request_id))


def last_requests(key_id: int, n: int) -> list[RequestLog]:
    """The newest of one key, newest first."""
    return list(RequestLog.objects.filter(key_id=key_id).order_by("-id")[:n])
