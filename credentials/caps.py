"""What a contributor allows: how many calls a day, at which hours, for which models, and how much is left alone.

Days are the upstream's, which begin at midnight in California (reference 2.9, 6.7).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

UPSTREAM_ZONE = "America/Los_Angeles"


class Hours(Struct, frozen=True):
    """From the beginning of hour `start` to the beginning of hour `end`, 0 to 23; over midnight when `end` is smaller,
    the whole day when they are equal."""

    start: int
    end: int
    zone: str = "UTC"


class Caps(Struct, frozen=True):
    calls_a_day: int | None = None
    model_calls_a_day: tuple[tuple[str, int], ...] = ()
    """(name or glob, calls)"""
    hours: Hours | None = None
    models: tuple[str, ...] = ()
    """Names or globs; empty for every model."""
    stop_below_percent: int = 0
    """Of the upstream's own daily quota, where that can be looked up."""

    def serves(self, model: str) -> bool:
        return not self.models or any(fnmatchcase(model, glob) for glob in self.models)

    def limits(self, model: str) -> tuple[tuple[str, int], ...]:
        """(scope, calls a day) that a call of the model counts against; scope "" is the credential as a whole."""
        whole = () if self.calls_a_day is None else (("", self.calls_a_day),)
        return whole + tuple(
            (glob, calls) for glob, calls in self.model_calls_a_day if fnmatchcase(model, glob)
        )

    @property
    def counted(self) -> bool:
        return self.calls_a_day is not None or bool(self.model_calls_a_day)


NO_CAPS = Caps()


def widens(before: Caps, after: Caps) -> str:
    """The cap, a field of Caps, with which `after` allows what `before` does not; "" for none. What cannot be compared, hours of
    another zone for one, counts as wider."""
    checks = {
        "calls_a_day": _more(before.calls_a_day, after.calls_a_day),
        "model_calls_a_day": _more_of_a_model(before, after),
        "hours": not _open_at(after.hours, before.hours),
        "models": not _only(after.models, before.models),
        "stop_below_percent": after.stop_below_percent < before.stop_below_percent,
    }
    return next((cap for cap, wider in checks.items() if wider), "")


def _more(before: int | None, after: int | None) -> bool:
    return before is not None and (after is None or after > before)


def _more_of_a_model(before: Caps, after: Caps) -> bool:
    """Each scope for itself, as each has a count of its own, which begins at nothing."""
    kept = dict(after.model_calls_a_day)
    return any(_more(calls, kept.get(glob)) for glob, calls in before.model_calls_a_day)


def _open_at(after: Hours | None, before: Hours | None) -> bool:
    """Whether `after` is open only when `before` is."""
    if before is None or before.start == before.end:
        return True
    if after is None or after.zone != before.zone:
        return False
    return _open_hours(after) <= _open_hours(before)


def _open_hours(hours: Hours) -> set[int]:
    length = (hours.end - hours.start) % 24 or 24
    return {(hours.start + hour) % 24 for hour in range(length)}


def _only(after: tuple[str, ...], before: tuple[str, ...]) -> bool:
    """Whether `after` serves only what `before` serves."""
    if not before:
        return True
    return bool(after) and all(any(_covers(wide, glob) for wide in before) for glob in after)


def _covers(wide: str, narrow: str) -> bool:
    """Whether every name that fits `narrow` fits `wide`. A glob read as a name fits only where a star of `wide` takes its
    wildcards in, which "?" and "[" would not."""
    if wide == narrow:
        return True
    if not set("*?[") & set(narrow):
        return fnmatchcase(narrow, wide)
    return not set("?[") & set(wide) and "[" not in narrow and fnmatchcase(narrow, wide)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def upstream_day(now: float) -> date:
    """The day whose quota a call at `now` (epoch seconds) counts against."""
    return datetime.fromtimestamp(now, _zone(UPSTREAM_ZONE)).date()


def next_upstream_midnight(now: float) -> float:
    """Epoch seconds."""
    zone = _zone(UPSTREAM_ZONE)
    tomorrow = datetime.fromtimestamp(now, zone).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).timestamp()


def window(hours: Hours | None, now: float) -> tuple[bool, float]:
    """(whether it is open now, when that changes in epoch seconds; infinity for never)."""
    if hours is None or hours.start == hours.end:
        return True, float("inf")
    local = datetime.fromtimestamp(now, _zone(hours.zone))
    over_midnight = hours.end < hours.start
    inside = (
        hours.start <= local.hour < hours.end
        if not over_midnight
        else local.hour >= hours.start or local.hour < hours.end
    )
    return inside, _next_hour(hours.end if inside else hours.start, local)


def _next_hour(hour: int, local: datetime) -> float:
    """When the clock of that zone shows the hour next. Added in wall time, so that a change of clocks does not shift it."""
    at = local.replace(hour=hour, minute=0, second=0, microsecond=0, fold=0)
    if at <= local:
        at += timedelta(days=1)
    return at.astimezone(UTC).timestamp()
