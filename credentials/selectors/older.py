"""Credentials as the older gateways' panels showed them (reference 6.7): by file name, with counters of the day."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import PurePath
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Max, Q, QuerySet, Sum
from django.utils import timezone
from msgspec import Struct

from credentials.caps import UPSTREAM_ZONE, next_upstream_midnight, upstream_day
from credentials.filters import ATTENTION
from credentials.models import Allowance, Credential, DailyUse, ModelState, Provider, epoch
from credentials.selectors.usage import SERVED
from credentials.states import RESTING, State

PRO = "gemini-2.5-pro"
PRO_GLOB = "gemini-2.5-pro*"
OFF = (State.DISABLED, *ATTENTION)
"""What they called disabled: by a person, or because Google refused it."""

_SHOWN = (
    "pk",
    "name",
    "provider",
    "email",
    "project_id",
    "state",
    "preview",
    "tier",
    "calls_a_day",
    "model_calls_a_day",
    "updated_at",
)
_HIDDEN = "********"
_SECRETS = {
    Provider.GEMINI_API: ("api_key",),
    Provider.CODE_ASSIST: ("client_id", "client_secret", "token", "refresh_token"),
}


class Counters(Struct):
    """Of today, by the upstream's day. `counted`: what was counted against the caps, by scope."""

    served: int = 0
    served_by_pro: int = 0
    counted: dict[str, int] = {}
    error_codes: list[int] = []


def lent() -> QuerySet[Credential]:
    return Credential.objects.exclude(state=State.WITHDRAWN).order_by("pk")


def shown() -> QuerySet[Credential, Any]:
    """The same as tuples of what the panel's answers need: a third of the time for thousands."""
    return lent().values_list(*_SHOWN, named=True)


def named(name: str) -> Credential | None:
    """By its file name; a path before it is left out."""
    if "\0" in name:
        return None
    return lent().filter(name=PurePath(name).name).first()


def counters() -> dict[int, Counters]:
    """Of every credential with use: a few queries, however many there are."""
    day = upstream_day(time.time())
    found: defaultdict[int, Counters] = defaultdict(Counters)
    today = DailyUse.objects.filter(day=day)
    for pk, status, calls, pro in (
        today.values_list("credential", "status")
        .annotate(sum=Sum("calls"), pro=Sum("calls", filter=Q(model__startswith=PRO)))
        .order_by()
    ):
        if status == SERVED:
            found[pk].served, found[pk].served_by_pro = calls, pro or 0
        else:
            found[pk].error_codes = sorted([*found[pk].error_codes, status])
    allowances = Allowance.objects.filter(day=day).values_list("credential", "scope", "taken")
    for pk, scope, taken in allowances:
        found[pk].counted = {**found[pk].counted, scope: taken}
    return found


def last_successes() -> dict[int, float]:
    """When the last day began on which each served a call."""
    days = DailyUse.objects.filter(status=SERVED).values_list("credential").annotate(Max("day"))
    zone = ZoneInfo(UPSTREAM_ZONE)

    @lru_cache
    def began(day: date) -> float:
        return datetime.combine(day, datetime.min.time(), zone).timestamp()

    return {pk: began(day) for pk, day in days.order_by()}


def usage_of(row: Any, count: Counters, resets_at: str) -> dict[str, Any]:
    """`row`: a Credential, or one of `shown`. A limit that is not set is null. What has a limit shows what is counted against it."""
    pro_limit = row.model_calls_a_day.get(PRO_GLOB)
    total = count.served if row.calls_a_day is None else count.counted.get("", 0)
    pro = count.served_by_pro if pro_limit is None else count.counted.get(PRO_GLOB, 0)
    return {
        "gemini_2_5_pro_calls": pro,
        "total_calls": total,
        "calls_24h": total,
        "daily_limit_gemini_2_5_pro": pro_limit,
        "daily_limit_total": row.calls_a_day,
        "next_reset_time": resets_at,
    }


def next_reset() -> str:
    return datetime.fromtimestamp(next_upstream_midnight(time.time()), tz=UTC).isoformat()


def as_files(rows: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """The first shape, by file name. The content they showed is here without its secrets."""
    today, served, resets_at = counters(), last_successes(), next_reset()
    files = {}
    for row in rows:
        count = today.get(row.pk, Counters())
        content = dict.fromkeys(_SECRETS[Provider(row.provider)], _HIDDEN)
        if row.project_id:
            content["project_id"] = row.project_id
        files[row.name] = {
            "status": {
                "disabled": row.state in OFF,
                "error_codes": count.error_codes,
                "last_success": served.get(row.pk),
                "user_email": row.email or None,
                **usage_of(row, count, resets_at),
            },
            "content": content,
            "filename": row.name,
            "size": 0,
            "modified_time": row.updated_at.timestamp(),
            "user_email": row.email or None,
        }
    return files


def as_items(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """The later shape, a page at a time."""
    rows = list(rows)
    today, served, rests = counters(), last_successes(), _rests(rows)
    items = []
    for row in rows:
        count = today.get(row.pk, Counters())
        items.append(
            {
                "filename": row.name,
                "user_email": row.email or None,
                "disabled": row.state in OFF,
                "error_codes": count.error_codes,
                "last_success": served.get(row.pk),
                "backend_type": "database",
                "model_cooldowns": rests.get(row.pk, {}),
                "preview": row.preview,
                "tier": row.tier,
            }
        )
    return items


def stats() -> dict[str, int]:
    off = lent().filter(state__in=OFF).count()
    total = lent().count()
    return {"total": total, "normal": total - off, "disabled": off}


def having_errors(status: int) -> Q:
    yesterday = upstream_day(time.time()) - timedelta(days=1)
    met = DailyUse.objects.filter(status=status, day__gt=yesterday)
    return Q(pk__in=met.values("credential"))


def resting() -> Q:
    """For every model, or for one."""
    now = timezone.now()
    models = ModelState.objects.filter(state__in=RESTING, until__gt=now)
    return Q(state__in=RESTING, state_until__gt=now) | Q(pk__in=models.values("credential"))


def _rests(rows: list[Any]) -> dict[int, dict[str, float]]:
    found: defaultdict[int, dict[str, float]] = defaultdict(dict)
    states = ModelState.objects.filter(
        credential__in=[row.pk for row in rows], state__in=RESTING, until__gt=timezone.now()
    )
    for pk, model, until in states.values_list("credential", "model", "until"):
        found[pk][model] = epoch(until)
    return found
