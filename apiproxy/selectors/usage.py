"""Reads of the sums of the request log (apiproxy/services/rollup.py): a minute or two behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone
from msgspec import Struct, field
from msgspec.structs import replace

from accounts.selectors import key_ids_of, member_ids_of
from apiproxy import sums
from apiproxy.histogram import percentiles
from apiproxy.models import RequestLog, UsageMark
from apiproxy.selectors.requests import between
from apiproxy.selectors.windows import DAY, HOUR, Window, day_of, logged_since, window
from apiproxy.sums import CREDENTIAL, DIALECT, GROUP, KEY, SITE, USER, Sums
from apiproxy.wire import codec

PERCENTS = (50, 90, 95, 99)
MODEL = "model"
AXES = (KEY, USER, GROUP, MODEL, CREDENTIAL, DIALECT)
SORTS = {
    "requests": ((1, "requests"),),
    "successes": ((1, "successes"),),
    "errors": ((1, "requests"), (-1, "successes")),
    "credits": ((1, "cost_micros"),),
    "input_tokens": ((1, "input_tokens"),),
    "output_tokens": ((1, "output_tokens"),),
}
"""What a pivot may be ordered by, the most first; these columns stand in the index of the days."""
MOST_HOURS = timedelta(days=31)
MOST_ROWS = 20_000
MOST_PASSED = 100_000
_INDEXED = frozenset({KEY, USER, CREDENTIAL})
"""The request log has an index of these."""
MOST_SUBJECTS = 5_000


class Use(Struct):
    """Sums of one subject or of one point of a chart, as `apiproxy.sums.NAMES` orders them, and two histograms."""

    sums: Sums = field(default_factory=sums.nothing)

    @property
    def counts(self) -> dict[str, int]:
        return dict(zip(sums.NAMES, self.sums, strict=False))

    @property
    def requests(self) -> int:
        return int(self.sums[0])

    @property
    def successes(self) -> int:
        return int(self.sums[1])

    @property
    def cost_micros(self) -> int:
        return int(self.sums[13])

    @property
    def tokens(self) -> int:
        """In and out, thinking too; cached ones are among the input."""
        return int(self.sums[9] + self.sums[11] + self.sums[12])

    @property
    def duration_ms(self) -> dict[str, int | None]:
        return _percentiles(self.sums[14])

    @property
    def first_byte_ms(self) -> dict[str, int | None]:
        return _percentiles(self.sums[15])

    def add(self, other: Sums) -> None:
        cells = {"": self.sums}
        sums.add(cells, "", other)


class Filters(Struct, frozen=True):
    """What is asked of; ids as texts. None: any."""

    key: str | None = None
    user: str | None = None
    group: str | None = None
    credential: str | None = None
    dialect: str | None = None
    model: str | None = None

    @property
    def subjects(self) -> dict[str, str]:
        """By axis; the model is none."""
        return {
            axis: value
            for axis in sums.AXES
            if axis != SITE and (value := getattr(self, axis)) is not None
        }


class Slice(Struct, frozen=True):
    """A page of a pivot."""

    since: datetime
    until: datetime
    sort: str
    limit: int
    offset: int
    now: datetime


class Line(Struct):
    """One row of a pivot. `use` has no percentiles where it was counted from the log."""

    subject: str
    use: Use


class Pivot(Struct):
    count: int
    lines: list[Line]
    since: datetime
    until: datetime


class Point(Struct):
    """`model` is "" where they are not told apart."""

    start: datetime
    model: str
    use: Use


class KeyUsage(Struct):
    """`by_model`: the most used first. `by_day`: each day of the span, oldest first, with the use of each model."""

    since: datetime
    until: datetime
    total: Use
    by_model: dict[str, Use]
    by_day: list[tuple[datetime, dict[str, Use]]]


def usage_of_key(
    key_id: int, since: datetime, until: datetime, *, now: datetime | None = None
) -> KeyUsage:
    """One query, and one for how far the sums have come. Days are those of UTC."""
    span = window(since, until, KEY, now=now)
    total = Use()
    by_model: dict[str, Use] = {}
    by_day: dict[datetime, dict[str, Use]] = {}
    day = day_of(span.since)
    while day < span.until:
        by_day[day] = {}
        day += DAY
    for start, _, model, counted in rows(span, KEY, subjects=[str(key_id)], models=None):
        if not model:
            total.add(counted)
            continue
        by_model.setdefault(model, Use()).add(counted)
        by_day.setdefault(day_of(start), {}).setdefault(model, Use()).add(counted)
    ordered = sorted(by_model.items(), key=lambda one: (-one[1].requests, one[0]))
    return KeyUsage(span.since, span.until, total, dict(ordered), sorted(by_day.items()))


def pivot(
    by: str,
    filters: Filters,
    since: datetime,
    until: datetime,
    *,
    sort: str = "requests",
    limit: int = 50,
    offset: int = 0,
    now: datetime | None = None,
) -> Pivot:
    """`by`: an axis but the site, or model. Raises ValueError, in words, for a span that is none, and where the sums do not tell
    and the log would have to be counted for too long."""
    subjects = filters.subjects
    slice_ = Slice(since, until, sort, limit, offset, now or timezone.now())
    if by == MODEL:
        if len(subjects) <= 1:
            [(axis, subject)] = subjects.items() or [(SITE, "")]
            return _by_model(axis, subject, filters.model, slice_)
    elif not set(subjects) - {by}:
        wanted = [subjects[by]] if by in subjects else None
        return _by_subject(by, wanted, filters.model, slice_)
    elif (belonging := _belonging(by, subjects)) is not None:
        return _by_subject(by, belonging, filters.model, slice_)
    return _from_log(by, filters, slice_)


def series(
    filters: Filters,
    since: datetime,
    until: datetime,
    *,
    step: str,
    split: bool = False,
    now: datetime | None = None,
) -> list[Point]:
    """The points of a chart, oldest first, in one query: every hour or day of the span, also those in which nothing was; with
    `split` one for each model of it, without percentiles, and none where nothing was. Raises ValueError in words."""
    subjects = filters.subjects
    if len(subjects) > 1:
        raise ValueError(
            "A chart shows one of key, user, group, credential and dialect, or the site."
        )
    [(axis, subject)] = subjects.items() or [(SITE, "")]
    hours = step == "hour"
    if hours and until - since > MOST_HOURS:
        raise ValueError(f"Ask for {MOST_HOURS.days} days of hours at the most, or for step=day.")
    span = window(since, until, axis, hours_only=hours, now=now)
    models = None if split and filters.model is None else filters.model or ""
    points: dict[tuple[datetime, str], Use] = {}
    if not split:
        start = span.since if hours else day_of(span.since)
        while start < span.until:
            points[start, ""] = Use()
            start += HOUR if hours else DAY
    told = rows(span, axis, subjects=[subject], models=models, histograms=not split)
    for start, _, model, counted in told:
        if split and not model:
            continue
        at = start if hours else day_of(start)
        points.setdefault((at, model if split else ""), Use()).add(counted)
    return [Point(at, model, points[at, model]) for at, model in sorted(points)]


def _by_model(axis: str, subject: str, model: str | None, asked: Slice) -> Pivot:
    span = window(asked.since, asked.until, axis, now=asked.now)
    found: dict[str, Use] = {}
    for _, _, name, counted in rows(span, axis, subjects=[subject], models=model):
        if name:
            found.setdefault(name, Use()).add(counted)
    return _ordered(found, span, asked)


def _ordered(found: dict[str, Use], span: Window, asked: Slice) -> Pivot:
    def rank(line: Line) -> tuple[int, str]:
        counts = line.use.counts
        return -sum(sign * counts[name] for sign, name in SORTS[asked.sort]), line.subject

    lines = sorted((Line(name, use) for name, use in found.items()), key=rank)
    some = lines[asked.offset : asked.offset + asked.limit]
    return Pivot(len(lines), some, span.since, span.until)


def _by_subject(axis: str, subjects: list[str] | None, model: str | None, asked: Slice) -> Pivot:
    """First the order, from few columns of many rows; then all of the few that are on the page."""
    span = window(asked.since, asked.until, axis, now=asked.now)
    if subjects is not None and len(subjects) > MOST_SUBJECTS:
        raise ValueError(f"There are more than {MOST_SUBJECTS:,} of them: ask for the whole site.")
    rank = " ".join(f'{"+" if sign > 0 else "-"} "{name}"' for sign, name in SORTS[asked.sort])
    inner, values = _union(
        f"subject, SUM({rank}) AS total",
        span,
        axis,
        subjects,
        model or "",
        tail=" GROUP BY subject",
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT subject, SUM(total) AS rank, COUNT(*) OVER () FROM ({inner}) AS parts "
            "GROUP BY subject ORDER BY rank DESC, subject LIMIT %s OFFSET %s",
            [*values, asked.limit, asked.offset],
        )
        ranked = cursor.fetchall()
    count = ranked[0][2] if ranked else 0
    lines = {subject: Line(subject, Use()) for subject, _, _ in ranked}
    if lines:
        for _, subject, _, counted in rows(span, axis, subjects=list(lines), models=model or ""):
            lines[subject].use.add(counted)
    return Pivot(count, list(lines.values()), span.since, span.until)


def _belonging(by: str, subjects: dict[str, str]) -> list[str] | None:
    """Keys of a person or a group, and people of a group, as they belong now."""
    if len(subjects) != 1:
        return None
    [(axis, value)] = subjects.items()
    ids: list[int]
    if (by, axis) == (KEY, USER):
        ids = key_ids_of(owner_id=int(value))
    elif (by, axis) == (KEY, GROUP):
        ids = key_ids_of(group_id=int(value))
    elif (by, axis) == (USER, GROUP):
        ids = member_ids_of(int(value))
    else:
        return None
    return [str(pk) for pk in ids]


def _from_log(by: str, filters: Filters, asked: Slice) -> Pivot:
    """What no sums tell, such as the keys that used one credential: counted row by row, where the sums say that these are few."""
    asked = replace(asked, since=logged_since(asked.since, asked.until))
    subjects = filters.subjects
    spans = {axis: window(asked.since, asked.until, axis, now=asked.now) for axis in subjects}
    counts = {axis: _requests(spans[axis], axis, value) for axis, value in subjects.items()}
    fewest = min(counts.values())
    if not fewest:
        span = next(iter(spans.values()))
        return Pivot(0, [], span.since, span.until)
    # Without an index, whatever else was asked at the time is passed by on the way.
    indexed = [count for axis, count in counts.items() if axis in _INDEXED]
    passed = min(indexed) if indexed else _requests(next(iter(spans.values())), SITE, "")
    if fewest > MOST_ROWS or passed > (MOST_ROWS if indexed else MOST_PASSED):
        raise ValueError(
            f"For this {max(passed, fewest):,} requests would have to be counted one by one: choose a shorter span."
        )
    columns = {KEY: "key_id", USER: "owner_id", GROUP: "group_id", CREDENTIAL: "credential_id"}
    span = next(iter(spans.values()))
    equal = {columns.get(axis, axis): value for axis, value in subjects.items()}
    if filters.model is not None:
        equal["model"] = filters.model
    column = columns.get(by, by)
    log = between(RequestLog.objects.filter(**equal), span.since, span.until)
    log = log.exclude(**{f"{column}__isnull": True}).exclude(**{column: ""} if by == MODEL else {})
    found: dict[str, Use] = {}
    for row in log.order_by().values_list(column, "status", *sums.NAMES[9:]).iterator():
        subject, status, *counts = row
        use = found.setdefault(str(subject), Use()).sums
        use[0] += 1
        use[sums.outcome(status)] += 1
        for place, value in enumerate(counts, 9):
            use[place] += value
    return _ordered(found, span, asked)


def _requests(span: Window, axis: str, subject: str) -> int:
    return sum(one[0] for *_, one in rows(span, axis, subjects=[subject], histograms=False))


def rows(
    span: Window,
    axis: str,
    *,
    subjects: Sequence[str] | None,
    models: str | None = "",
    histograms: bool = True,
) -> Iterator[tuple[datetime, str, str, Sums]]:
    """(start, subject, model, sums), in one query. `models` "": all of a subject together; None: these and each model too.
    Reading the histograms is most of the work."""
    measured = sums.HISTOGRAMS if histograms else ()
    columns = ", ".join(
        f'"{name}"' for name in ("start", "subject", "model", *sums.NAMES, *measured)
    )
    statement, values = _union(columns, span, axis, subjects, models)
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        for start, subject, model, *counted in cursor.fetchall():
            if histograms:
                counted[-2:] = _loaded(counted[-2]), _loaded(counted[-1])
            else:
                counted += ({}, {})
            yield _instant(start), subject, model, counted


def _union(
    columns: str,
    span: Window,
    axis: str,
    subjects: Sequence[str] | None,
    models: str | None,
    *,
    tail: str = "",
) -> tuple[str, list[Any]]:
    adapt = connection.ops.adapt_datetimefield_value
    parts: list[str] = []
    values: list[Any] = []
    for part in span.parts:
        where = ["axis = %s"]
        values.append(axis)
        if subjects is not None:
            where.append(f"subject IN ({', '.join(['%s'] * len(subjects)) or 'NULL'})")
            values += subjects
        if models is not None:
            where.append("model = %s")
            values.append(models)
        where.append("start >= %s AND start < %s")
        values += (adapt(part.since), adapt(part.until))
        parts.append(f"SELECT {columns} FROM {part.table} WHERE {' AND '.join(where)}{tail}")
    return " UNION ALL ".join(parts), values


def _percentiles(histogram: dict[str, int]) -> dict[str, int | None]:
    found = percentiles(histogram, PERCENTS)
    return {f"p{percent}": ms for percent, ms in zip(PERCENTS, found, strict=True)}


def _loaded(value: Any) -> dict[str, int]:
    histogram: dict[str, int] = codec.loads(value) if isinstance(value, str) else value
    return histogram


def _instant(value: Any) -> datetime:
    """SQLite keeps instants as text, in UTC."""
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def summed_up_at() -> datetime | None:
    """What was logged before this is in the sums."""
    mark = UsageMark.objects.filter(name=UsageMark.HOURS).values_list("updated_at", flat=True)
    return mark.first()
