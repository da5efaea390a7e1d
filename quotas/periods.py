"""Days, weeks (from Monday) and months of a time zone, as credits are counted in. Pure.

A day is its ordinal: 1 + days since 0001-01-01 of the local calendar. The week and the month follow from it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

Period = Literal["day", "week", "month"]

MOST_DAYS_AHEAD = 2
"""No two places on earth are further apart than this."""


def day_of(at: float, time_zone: str) -> int:
    """`at`: epoch seconds."""
    begins, ends, day = _day(int(at // _SLOT_S), time_zone)
    if begins <= at < ends:
        return day
    return _local(at, time_zone).toordinal()


def first_day(period: Period, day: int) -> int:
    """The day on which the period that `day` lies in began."""
    if period == "day":
        return day
    if period == "week":
        return day - (day - 1) % 7
    return day - date.fromordinal(day).day + 1


def starts_at(period: Period, day: int, time_zone: str) -> float:
    """When the period that `day` lies in began, in epoch seconds."""
    return _midnight(date.fromordinal(first_day(period, day)), time_zone)


def ends_at(period: Period, day: int, time_zone: str) -> float:
    """When the period that `day` lies in is over, in epoch seconds."""
    first = date.fromordinal(first_day(period, day))
    if period == "day":
        after = first + timedelta(days=1)
    elif period == "week":
        after = first + timedelta(days=7)
    else:
        after = (first + timedelta(days=31)).replace(day=1)
    return _midnight(after, time_zone)


def clock_text(at: float, time_zone: str) -> str:
    """For messages: "2026-11-21 00:00 Asia/Shanghai"."""
    local = datetime.fromtimestamp(at, ZoneInfo(time_zone) if time_zone else UTC)
    return f"{local:%Y-%m-%d %H:%M} {time_zone or 'UTC'}"


# A day is worked out once for each quarter of an hour: all offsets there are, are multiples of it.
_SLOT_S = 900


@lru_cache(maxsize=256)
def _day(slot: int, time_zone: str) -> tuple[float, float, int]:
    local = _local(slot * _SLOT_S, time_zone)
    return slot * _SLOT_S, (slot + 1) * _SLOT_S, local.toordinal()


def _local(at: float, time_zone: str) -> date:
    return datetime.fromtimestamp(at, ZoneInfo(time_zone) if time_zone else UTC).date()


def _midnight(day: date, time_zone: str) -> float:
    zone = ZoneInfo(time_zone) if time_zone else UTC
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
