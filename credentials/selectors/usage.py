"""What became of the calls with lent credentials, by the upstream's days (credentials/caps.py). One query each.

Written behind by the proxy, so the last moments may be missing.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import date, timedelta
from typing import Any

from django.db.models import Case, F, QuerySet, Sum, Value, When
from msgspec import Struct

from credentials.caps import upstream_day
from credentials.models import DailyUse

SERVED = 200
NO_ANSWER = 0


class Use(Struct, frozen=True):
    """`served` calls were answered, `failed` were not; tokens are those of served calls, thinking among the output."""

    served: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class DayOfUse(Struct, frozen=True):
    day: date
    use: Use


NO_USE = Use()


def served_by_day(
    credential_ids: Collection[int], days: int = 30, *, now: float | None = None
) -> dict[int, list[DayOfUse]]:
    """Every credential and every day, oldest first, today last."""
    today = _today(now)
    rows = _sums(credential_ids, today - timedelta(days=days - 1), "credential_id", "day")
    found = {(row["credential_id"], row["day"]): _use(row) for row in rows}
    span = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
    return {
        pk: [DayOfUse(day, found.get((pk, day), NO_USE)) for day in span] for pk in credential_ids
    }


def served_by_model(
    credential_ids: Collection[int], days: int = 30, *, now: float | None = None
) -> dict[int, dict[str, Use]]:
    """By model, the most served first; credentials that were not used have {}."""
    since = _today(now) - timedelta(days=days - 1)
    by_model: dict[int, dict[str, Use]] = {pk: {} for pk in credential_ids}
    rows = _sums(credential_ids, since, "credential_id", "model")
    for row in rows.order_by("-served", "model"):
        by_model[row["credential_id"]][row["model"]] = _use(row)
    return by_model


def today(credential_ids: Collection[int], *, now: float | None = None) -> dict[int, Use]:
    rows = _sums(credential_ids, _today(now), "credential_id")
    found = {row["credential_id"]: _use(row) for row in rows}
    return {pk: found.get(pk, NO_USE) for pk in credential_ids}


def totals(credential_ids: Collection[int]) -> dict[int, Use]:
    """Over all that is kept (USE_RETENTION_DAYS)."""
    found = {
        row["credential_id"]: _use(row) for row in _sums(credential_ids, None, "credential_id")
    }
    return {pk: found.get(pk, NO_USE) for pk in credential_ids}


def errors_by_status(
    credential_id: int, days: int = 30, *, now: float | None = None
) -> dict[int, int]:
    """Failed calls by HTTP status, the most frequent first. 0: no answer, or one that broke off."""
    return errors_by_statuses([credential_id], days, now=now)[credential_id]


def errors_by_statuses(
    credential_ids: Collection[int], days: int = 30, *, now: float | None = None
) -> dict[int, dict[int, int]]:
    """The same for many."""
    since = _today(now) - timedelta(days=days - 1)
    errors: dict[int, dict[int, int]] = {pk: {} for pk in credential_ids}
    rows = _rows(credential_ids, since).exclude(status=SERVED).values("credential_id", "status")
    for row in rows.annotate(sum=Sum("calls")).order_by("-sum", "status"):
        errors[row["credential_id"]][row["status"]] = row["sum"]
    return errors


def _today(now: float | None) -> date:
    return upstream_day(time.time() if now is None else now)


def _rows(credential_ids: Collection[int], since: date | None) -> QuerySet[DailyUse]:
    rows = DailyUse.objects.filter(credential_id__in=list(credential_ids))
    return rows if since is None else rows.filter(day__gte=since)


def _sums(credential_ids: Collection[int], since: date | None, *by: str) -> Any:
    """Rows with the columns of `by`, served, asked, input and output."""
    was_served = When(status=SERVED, then=F("calls"))
    return (
        _rows(credential_ids, since)
        .values(*by)
        .annotate(
            served=Sum(Case(was_served, default=Value(0))),
            asked=Sum("calls"),
            input=Sum("input_tokens"),
            output=Sum("output_tokens"),
        )
        .order_by()
    )


def _use(row: dict[str, int]) -> Use:
    return Use(row["served"], row["asked"] - row["served"], row["input"], row["output"])
