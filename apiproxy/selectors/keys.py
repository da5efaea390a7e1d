"""What single keys used, up to this moment: the sums of the request log as far as they are whole, and the log itself from there
on. So it is right for a key that was first used a second ago, and while no worker runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.db.models import Count, F, Min, Q, Sum
from django.db.models.functions import TruncHour
from django.utils import timezone
from msgspec import Struct

from apiproxy.models import RequestLog, UsageDay, UsageHour, UsageMark
from apiproxy.sums import KEY

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_KEYS_A_QUERY = 500
_UNKNOWN = "?"
_COUNTS = {
    "requests": Sum("requests"),
    "successes": Sum("successes"),
    "input_tokens": Sum("input_tokens"),
    "output_tokens": Sum("output_tokens"),
    "thinking_tokens": Sum("thinking_tokens"),
    "cost_micros": Sum("cost_micros"),
}
_COUNTS_OF_LOG = _COUNTS | {
    "requests": Count("id"),
    "successes": Count("id", filter=Q(status__lt=400)),
}


class Used(Struct):
    """`tokens`: in, out and thinking together."""

    requests: int = 0
    successes: int = 0
    tokens: int = 0
    cost_micros: int = 0

    def add(self, other: Used, times: int = 1) -> None:
        self.requests += times * other.requests
        self.successes += times * other.successes
        self.tokens += times * other.tokens
        self.cost_micros += times * other.cost_micros


class _Seams(Struct, frozen=True):
    """Days are taken from the sums before `days`, which is a midnight, hours before `hours`, and what began later from the log,
    whose rows of that time have `first_id` and later ones."""

    days: datetime
    hours: datetime
    first_id: int


def spent_by_model(key_ids: Collection[int]) -> dict[int, dict[str, int]]:
    """All that each key was ever charged: {key: {model: micros}}, the dearest model first. Keys that spent nothing are left out."""
    seams = _seams()
    spent: dict[int, dict[str, int]] = {}
    wanted = sorted(key_ids)
    for start in range(0, len(wanted), _KEYS_A_QUERY):
        some = wanted[start : start + _KEYS_A_QUERY]
        subjects = [str(key_id) for key_id in some]
        of_keys = Q(axis=KEY, subject__in=subjects) & ~Q(model="")
        sources = (
            UsageDay.objects.filter(of_keys, start__lt=seams.days).values_list("subject", "model"),
            UsageHour.objects.filter(
                of_keys, start__gte=seams.days, start__lt=seams.hours
            ).values_list("subject", "model"),
            RequestLog.objects.filter(key_id__in=some, id__gte=seams.first_id, at__gte=seams.hours)
            .order_by()
            .values_list("key_id", "model"),
        )
        for source in sources:
            for subject, model, micros in source.annotate(micros=Sum("cost_micros")):
                if micros:
                    of_key = spent.setdefault(int(subject), {})
                    of_key[model] = of_key.get(model, 0) + micros
    return {
        key_id: dict(sorted(models.items(), key=lambda one: (-one[1], one[0])))
        for key_id, models in spent.items()
    }


def used_by_model(
    key_id: int, since: datetime, step: Literal["hour", "day"]
) -> list[tuple[datetime, dict[str, Used]]]:
    """Each hour or day (of UTC) from `since` to now, oldest first, with what was used of each model."""
    width = HOUR if step == "hour" else DAY
    first = _floor(since, step)
    points: dict[datetime, dict[str, Used]] = {}
    at = first
    while at <= timezone.now():
        points[at] = {}
        at += width
    for start, model, used in _parts(key_id, first, step):
        models = points.setdefault(_floor(start, step), {})
        models.setdefault(model, Used()).add(used)
    return sorted(points.items())


def spent_by_day(key_id: int, since: datetime, until: datetime) -> dict[datetime, dict[str, int]]:
    """{day of UTC: {model: micros}} for the days from that of `since` on and before `until`; days without a charge are left out."""
    spent: dict[datetime, dict[str, int]] = {}
    for start, model, used in _parts(key_id, _floor(since, "day"), "day"):
        if start < until and used.cost_micros:
            models = spent.setdefault(_floor(start, "day"), {})
            models[model] = models.get(model, 0) + used.cost_micros
    return dict(sorted(spent.items()))


def _parts(key_id: int, since: datetime, step: str) -> Iterator[tuple[datetime, str, Used]]:
    """(start, model, what was used), several of the same start and model; models that nobody knows are "?"."""
    seams = _seams()
    hours = max(seams.hours, since)
    days = since if step == "hour" else min(max(seams.days, since), hours)
    rows = Q(axis=KEY, subject=str(key_id), start__gte=since)
    if step == "day":
        found = UsageDay.objects.filter(rows, start__lt=days)
        yield from _told_by_sums(found.values("start", "model").annotate(**_COUNTS))
    found_hours = UsageHour.objects.filter(rows, start__gte=days, start__lt=hours)
    yield from _told_by_sums(found_hours.values("start", "model").annotate(**_COUNTS))
    fresh = RequestLog.objects.filter(
        key_id=key_id, id__gte=seams.first_id, at__gte=hours
    ).order_by()
    by_hour = fresh.annotate(start=TruncHour("at", tzinfo=UTC)).values("start", "model")
    yield from _told(by_hour.annotate(**_COUNTS_OF_LOG))


def _told(rows: Any) -> Iterator[tuple[datetime, str, Used]]:
    for row in rows:
        tokens = row["input_tokens"] + row["output_tokens"] + row["thinking_tokens"]
        used = Used(row["requests"], row["successes"], tokens, row["cost_micros"])
        yield row["start"], row["model"] or _UNKNOWN, used


def _told_by_sums(rows: Any) -> Iterator[tuple[datetime, str, Used]]:
    """Sums without a model are of all models together: what they hold beyond the others' is of those that nobody knows."""
    rest: dict[datetime, Used] = {}
    for start, model, used in _told(rows):
        of_all = model == _UNKNOWN
        rest.setdefault(start, Used()).add(used, 1 if of_all else -1)
        if not of_all:
            yield start, model, used
    for start, used in rest.items():
        if used.requests > 0:
            yield start, _UNKNOWN, used


def _seams() -> _Seams:
    """Calls are logged when they end and count for the hour in which they began, so the newest whole hour is read from the log as
    well: sums of it may lack the last of them."""
    beginning = datetime.min.replace(tzinfo=UTC)
    marks = dict(UsageMark.objects.values_list("name", "until"))
    days = marks.get(UsageMark.DAYS, beginning)
    hours = marks[UsageMark.HOURS] - HOUR if UsageMark.HOURS in marks else beginning
    hours = max(hours, marks.get(UsageMark.LOG, beginning))
    first_id = 0
    if hours > beginning:
        # By this the rows of one key are found from its own index; by their time alone SQLite would go through all of them.
        # The sum keeps both databases from going through all numbers from the first on, which they do for a bare MIN(id).
        newest = RequestLog.objects.filter(at__gte=hours)
        newer = newest.aggregate(first=Min(F("id") + 0))["first"]
        first_id = newer if newer is not None else 2**63 - 1
    # A day is taken whole or not at all: after midnight its last hour is read from the log, so the others come from the hours.
    return _Seams(days=_floor(min(days, hours), "day"), hours=hours, first_id=first_id)


def _floor(at: datetime, step: str) -> datetime:
    at = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return at if step == "hour" else at.replace(hour=0)
