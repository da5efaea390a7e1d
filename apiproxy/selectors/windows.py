"""A span of time -> the tables of sums that tell of it: whole days from the days, what is left at its ends from the hours.

The hours of keys, people and credentials are kept for USAGE_DETAIL_DAYS only: before that, their spans are taken in whole days.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.utils import timezone
from msgspec import Struct

from apiproxy.models import UsageDay, UsageHour, UsageMark
from apiproxy.sums import DETAILED

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LONGEST = timedelta(days=400)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class Part(Struct, frozen=True):
    """Rows of one table with since <= start < until."""

    table: str
    since: datetime
    until: datetime


class Window(Struct, frozen=True):
    """`since` and `until` are what is really told of: whole hours, or whole days."""

    since: datetime
    until: datetime
    parts: tuple[Part, ...]


def hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _up(at: datetime, floor: datetime, step: timedelta) -> datetime:
    return floor if floor == at else floor + step


def window(
    since: datetime,
    until: datetime,
    axis: str,
    *,
    hours_only: bool = False,
    now: datetime | None = None,
) -> Window:
    """Raises ValueError, in words, where it is empty or too long."""
    if since >= until:
        raise ValueError("The span is empty: since has to be before until.")
    if until - since > LONGEST:
        raise ValueError(f"Ask for {LONGEST.days} days at the most.")
    now = now or timezone.now()
    # Nothing was before, and nothing will be in the future; the calendar's own ends cannot be rounded.
    since = hour_of(min(max(since, _EARLIEST), now))
    until = min(max(until, since + HOUR), now)
    until = max(_up(until.astimezone(UTC), hour_of(until), HOUR), since + HOUR)
    kept = hours_kept_since(axis, now)
    if hours_only and since < kept:
        raise ValueError(
            f"Single hours of this are kept since {kept:%Y-%m-%d}: begin there, or ask for step=day."
        )
    if since < kept:
        since = day_of(since)
    if until < kept:
        until = _up(until, day_of(until), DAY)
    if hours_only:
        return Window(since, until, (Part(UsageHour._meta.db_table, since, until),))
    first = _up(since, day_of(since), DAY)
    last = min(day_of(until), max(days_done_until(), first))
    if first >= last:
        return Window(since, until, (Part(UsageHour._meta.db_table, since, until),))
    parts = [Part(UsageDay._meta.db_table, first, last)]
    if since < first:
        parts.append(Part(UsageHour._meta.db_table, since, first))
    if last < until:
        parts.append(Part(UsageHour._meta.db_table, last, until))
    return Window(since, until, tuple(parts))


def hours_kept_since(axis: str, now: datetime) -> datetime:
    days = [settings.USAGE_HOUR_RETENTION_DAYS or LONGEST.days + 1]
    if axis in DETAILED:
        days.append(settings.USAGE_DETAIL_DAYS)
    return day_of(now) - timedelta(days=min(days))


def logged_since(since: datetime, until: datetime) -> datetime:
    """`since`, or where the request log begins by now. Raises ValueError, in words, where nothing of the span is left of it."""
    mark = UsageMark.objects.filter(name=UsageMark.LOG).values_list("until", flat=True).first()
    if mark is None or since >= mark:
        return since
    if mark >= until:
        raise ValueError(f"Single requests are kept since {mark:%Y-%m-%d}: begin there.")
    return mark


def days_done_until() -> datetime:
    """Every day before this has its rows."""
    mark = UsageMark.objects.filter(name=UsageMark.DAYS).values_list("until", flat=True).first()
    return mark or datetime.min.replace(tzinfo=UTC)
