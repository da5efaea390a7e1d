"""The request log -> sums by hour, and these -> sums by day.

An hour is added up whole from its rows and what changed is put in its place: so it may be done at any time, by any number of
workers, and a killed one leaves nothing to mend. Rows come late, as a call is logged when it ends and counts for the hour in
which it began; therefore the last hours are looked at again. No row of the log changes once written, so a cell of an hour is
out of date exactly when it counts fewer requests, and one that counts more is never overwritten: neither by a worker that
read earlier, nor after the log's rows are deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from msgspec import Struct

from apiproxy import sums
from apiproxy.histogram import Histogram
from apiproxy.models import RequestLog, UsageDay, UsageHour, UsageMark
from apiproxy.selectors.windows import hours_kept_since
from apiproxy.sums import Cell, Sums
from apiproxy.wire import codec
from gateway.lib.sql import batch

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LATE = timedelta(hours=26)
"""A call that lasts longer than this is not added up."""
BUDGET_S = 60.0
"""History is gone through in rounds of this length."""
REST_FACTOR = 19
"""So many times as long as the work took, it rests: a twentieth of a core on a site whose hours hold millions."""
_CELLS_A_BATCH = 250
_COLUMNS = ("start", "axis", "subject", "model", *sums.NAMES, *sums.HISTOGRAMS)


class Done(Struct):
    """`behind_hours`: what is left for the next round."""

    hours: int = 0
    days: int = 0
    cells: int = 0
    behind_hours: int = 0


def roll_up(
    *,
    now: datetime,
    again: timedelta = HOUR,
    step: Callable[[], None] = lambda: None,
    budget_s: float = BUDGET_S,
) -> Done:
    """Bring the sums up to `now`: what was missed, then the hours of `again` and the present one once more, then the days.
    `step` is called between hours and may raise to stop."""
    began = time.monotonic()
    done = Done()
    present = _hour_of(now)
    mark = UsageMark.objects.filter(name=UsageMark.HOURS).first()
    # What looks far back comes seldom, and would never find it awake on a site that is always busy.
    if again <= HOUR and mark and mark.not_before and now < mark.not_before < now + HOUR:
        return done
    hour = _first_hour(mark, present, again, now)
    known = mark.until if mark else hour
    detailed = hours_kept_since(sums.KEY, now)
    touched = _left_behind(hour, present) if again >= LATE else {}
    while hour <= present:
        # At least one new hour a round, or a busy site would never come to an end of its old ones.
        if hour > known and time.monotonic() - began > budget_s:
            done.behind_hours = (present - hour) // HOUR + 1
            break
        changed = _roll_hour(hour, sums.AXES if hour >= detailed else sums.COARSE)
        touched.setdefault(_day_of(hour), set()).update(changed)
        done.hours += 1
        done.cells += len(changed)
        # The present hour is not over.
        move_mark(UsageMark.HOURS, min(hour + HOUR, present), now)
        _fold_days(done, touched, detailed, step)
        hour += HOUR
        step()
    took_s = time.monotonic() - began
    if not done.behind_hours and took_s * REST_FACTOR > 60:
        rest = now + timedelta(seconds=took_s * REST_FACTOR)
        UsageMark.objects.filter(name=UsageMark.HOURS).update(not_before=rest)
    return done


def _first_hour(
    mark: UsageMark | None, present: datetime, again: timedelta, now: datetime
) -> datetime:
    if mark is None:
        oldest = RequestLog.objects.order_by("at").values_list("at", flat=True).first()
        return min(_hour_of(oldest), present) if oldest else present
    # After a pause, what ran when it began may have been logged meanwhile.
    if now - mark.updated_at > HOUR:
        again = LATE
    first = min(mark.until, present) - _whole_hours(again)
    gone = UsageMark.objects.filter(name=UsageMark.LOG).values_list("until", flat=True).first()
    return max(first, gone) if gone else first


def _left_behind(since: datetime, present: datetime) -> dict[datetime, set[tuple[str, str]]]:
    """(axis, subject) of the days that have their rows, from that of `since` on, where the hours count more: whoever added these up
    was killed before the day had its turn, and in the hours nothing changes any more."""
    days = UsageMark.objects.filter(name=UsageMark.DAYS).values_list("until", flat=True).first()
    behind: dict[datetime, set[tuple[str, str]]] = {}
    day = _day_of(since)
    while days is not None and day < min(days, present):
        behind[day] = {(axis, subject) for axis in sums.AXES for subject in _unfolded(axis, day)}
        day += DAY
    return behind


def _unfolded(axis: str, day: datetime) -> QuerySet[UsageHour, str]:
    """Subjects. The row of the day is looked up by all that identifies it: for a list of subjects SQLite reads the whole axis."""
    of_day = UsageDay.objects.filter(
        axis=axis, subject=OuterRef("subject"), model=OuterRef("model"), start=day
    )
    hours = UsageHour.objects.filter(axis=axis, start__gte=day, start__lt=day + DAY).order_by()
    counted = hours.values("subject", "model").annotate(
        counted=Sum("requests"), known=Coalesce(Subquery(of_day.values("requests")), 0)
    )
    return counted.filter(counted__gt=F("known")).values_list("subject", flat=True)


def _whole_hours(span: timedelta) -> timedelta:
    return HOUR * (span // HOUR)


def _roll_hour(hour: datetime, axes: Collection[str]) -> set[tuple[str, str]]:
    """(axis, subject) of what changed."""
    cells = sums.aggregate(_rows(hour, hour + HOUR), axes)
    if not cells:
        return set()
    known = _known(UsageHour.objects.filter(start=hour, axis__in=axes))
    changed = {cell: one for cell, one in cells.items() if one[0] > known.get(cell, 0)}
    _put(UsageHour, hour, changed)
    return {(axis, subject) for axis, subject, _ in changed}


def _rows(since: datetime, until: datetime) -> Iterator[tuple[Any, ...]]:
    rows = RequestLog.objects.filter(at__gte=since, at__lt=until).order_by()
    return rows.values_list(*sums.COLUMNS).iterator(chunk_size=2000)


def _known(rows: QuerySet[Any]) -> dict[Cell, int]:
    found = rows.order_by().values_list("axis", "subject", "model", "requests")
    return {(axis, subject, model): requests for axis, subject, model, requests in found}


def _fold_days(
    done: Done,
    touched: dict[datetime, set[tuple[str, str]]],
    detailed: datetime,
    step: Callable[[], None],
) -> None:
    """Days that are over and whose hours are all there get their rows; those that have them, what changed since. Of days whose
    single hours are not kept any more, what is detailed comes from the log itself."""
    hours = UsageMark.objects.get(name=UsageMark.HOURS)
    days = UsageMark.objects.filter(name=UsageMark.DAYS).first()
    if days is None:
        sites = UsageHour.objects.filter(axis=sums.SITE).order_by("start")
        oldest = sites.values_list("start", flat=True).first()
        days = move_mark(UsageMark.DAYS, _day_of(oldest or hours.until), hours.updated_at)
    for day in [day for day in touched if day < days.until]:
        for some in _batches(sorted(touched.pop(day)), _CELLS_A_BATCH):
            done.cells += _fold_again(day, some)
            step()
    while days.until + DAY <= hours.until:
        day = days.until
        for axis in sums.AXES:
            if axis in sums.DETAILED and day < detailed:
                cells = sums.aggregate(_rows(day, day + DAY), (axis,))
            else:
                cells = _folded(UsageHour.objects.filter(axis=axis), day)
            _put(UsageDay, day, cells)
            done.cells += len(cells)
            step()
        touched.pop(day, None)
        days = move_mark(UsageMark.DAYS, day + DAY, hours.updated_at)
        done.days += 1


def _fold_again(day: datetime, subjects: list[tuple[str, str]]) -> int:
    """What became of some (axis, subject) since the day was folded; how many rows they have."""
    by_axis: dict[str, list[str]] = {}
    for axis, subject in subjects:
        by_axis.setdefault(axis, []).append(subject)
    cells: dict[Cell, Sums] = {}
    for axis, names in by_axis.items():
        cells |= _folded(UsageHour.objects.filter(axis=axis, subject__in=names), day)
    _put(UsageDay, day, cells)
    return len(cells)


def _folded(rows: QuerySet[UsageHour], day: datetime) -> dict[Cell, Sums]:
    cells: dict[Cell, Sums] = {}
    names = ("axis", "subject", "model", *sums.NAMES, *sums.HISTOGRAMS)
    rows = rows.filter(start__gte=day, start__lt=day + DAY).order_by()
    for axis, subject, model, *counted in rows.values_list(*names).iterator(chunk_size=2000):
        sums.add(cells, (axis, subject, model), counted)
    return cells


def _put(table: type[UsageHour] | type[UsageDay], start: datetime, cells: dict[Cell, Sums]) -> None:
    """In short transactions, in one order for everybody, so that neither the proxy's writer nor another worker waits long."""
    at = connection.ops.adapt_datetimefield_value(start)
    name = table._meta.db_table
    # "left" is a word of SQL's own.
    columns = [f'"{column}"' for column in _COLUMNS]
    assigned = ", ".join(f"{column} = excluded.{column}" for column in columns[4:])
    one = f"({', '.join(['%s'] * len(_COLUMNS))})"
    for some in _batches(sorted(cells), _CELLS_A_BATCH):
        values: list[Any] = []
        for cell in some:
            *counts, durations, first_bytes = cells[cell]
            values += (at, *cell, *counts, _text(durations), _text(first_bytes))
        with batch() as cursor:
            cursor.execute(
                f"INSERT INTO {name} ({', '.join(columns)}) VALUES {', '.join([one] * len(some))} "
                f"ON CONFLICT (axis, subject, start, model) DO UPDATE SET {assigned} "
                f"WHERE excluded.requests > {name}.requests",
                values,
            )


def _text(histogram: Histogram) -> str:
    return codec.encode(histogram).decode()


def move_mark(name: str, until: datetime, now: datetime) -> UsageMark:
    """Forward only, whatever another worker did meanwhile."""
    with transaction.atomic():
        mark, made = UsageMark.objects.select_for_update().get_or_create(
            name=name, defaults={"until": until, "updated_at": now}
        )
        if not made:
            mark.until = max(mark.until, until)
            mark.updated_at = max(mark.updated_at, now)
            mark.not_before = None
            mark.save()
    return mark


def _hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _day_of(at: datetime) -> datetime:
    return _hour_of(at).replace(hour=0)


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
