"""Credentials with all that is known of them, for those who manage the pool."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet
from django.utils import timezone
from msgspec import Struct, structs

from credentials.caps import upstream_day, window
from credentials.models import (
    Allowance,
    Credential,
    ModelState,
    Notice,
    StateChange,
    moment,
)
from credentials.selectors import usage
from credentials.services.editing import version_of
from credentials.services.leftovers import masked_identity
from credentials.states import RESTING, State
from credentials.words import Words, explain
from gateway.lib import proxies
from gateway.lib.crypto import SecretUnreadable

_NOTICES = 20
_OF_A_MOVE = ("at", "model", "event", "from_state", "to_state", "reason", "request_id", "by")


class Described(Struct):
    """A row of the list. `until`: when it may serve again, where that is known. `held_by`: why it does not serve now
    although it could: paused, hours, cap; "" for none.
    """

    credential: Credential
    words: Words
    usable: bool
    held_by: str
    until: datetime | None
    identity: str
    proxy: str
    version: str
    taken: dict[str, int]
    served: int = 0
    failed: int = 0
    errors: dict[int, int] = {}
    notices: int = 0
    resting_models: int = 0


def described(rows: Iterable[Credential]) -> list[Described]:
    """In the order given; the same number of queries however many there are."""
    rows = list(rows)
    ids = [row.pk for row in rows]
    now = time.time()
    taken = _taken(ids, now)
    today = usage.today(ids)
    errors = usage.errors_by_statuses(ids, 1)
    notices = dict(
        Notice.objects.filter(credential__in=ids, closed_at=None)
        .values_list("credential")
        .annotate(Count("pk"))
    )
    models = dict(
        _resting_models().filter(credential__in=ids).values_list("credential").annotate(Count("pk"))
    )
    found = []
    for row in rows:
        one = _stand(row, taken.get(row.pk, {}), now)
        one.served, one.failed = today[row.pk].served, today[row.pk].failed
        one.errors = errors[row.pk]
        one.notices = notices.get(row.pk, 0)
        one.resting_models = models.get(row.pk, 0)
        found.append(one)
    return found


def rests(row: Credential, at: datetime) -> bool:
    return row.state in RESTING and row.state_until is not None and row.state_until > at


def words_of(row: Credential, at: datetime) -> Words:
    state = row.state
    if state in RESTING and not rests(row, at):
        state = State.ACTIVE.value
    return explain(state, row.state_reason, provider=row.provider)


def _stand(row: Credential, taken: dict[str, int], now: float) -> Described:
    at = moment(now) or timezone.now()
    resting = rests(row, at)
    serves = row.state == State.ACTIVE or (row.state in RESTING and not resting)
    held_by, until = _held(row, taken, now) if serves else ("", None)
    return Described(
        credential=row,
        words=words_of(row, at),
        usable=serves and not held_by,
        held_by=held_by,
        until=row.state_until if resting else until,
        identity=masked_identity(row),
        proxy=masked_proxy(row),
        version=version_of(row),
        taken=taken,
    )


def _held(row: Credential, taken: dict[str, int], now: float) -> tuple[str, datetime | None]:
    if row.paused_at is not None:
        return "paused", None
    caps = row.caps
    inside, changes_at = window(caps.hours, now)
    if not inside:
        return "hours", moment(changes_at)
    if caps.calls_a_day is not None and taken.get("", 0) >= caps.calls_a_day:
        return "cap", None
    return "", None


def masked_proxy(row: Credential) -> str:
    try:
        return proxies.masked(row.proxy.open().get("url", ""))
    except SecretUnreadable:
        return "unreadable"


def _taken(ids: Sequence[int], now: float) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = defaultdict(dict)
    rows = Allowance.objects.filter(credential__in=ids, day=upstream_day(now))
    for credential_id, scope, taken in rows.values_list("credential", "scope", "taken"):
        found[credential_id][scope] = taken
    return found


def detail(row: Credential) -> dict[str, Any]:
    """`Described` and: models, days, by_model, errors_of_month, readings, notices_sent."""
    (one,) = described([row])
    return {
        **structs.asdict(one),
        "models": model_states(row.pk),
        "days": [
            {"day": day.day, **structs.asdict(day.use)}
            for day in usage.served_by_day([row.pk])[row.pk]
            if day.use != usage.NO_USE
        ],
        "by_model": [
            {"model": model, **structs.asdict(use)}
            for model, use in usage.served_by_model([row.pk])[row.pk].items()
        ],
        "errors_of_month": usage.errors_by_status(row.pk),
        "readings": list(row.readings.order_by("model")),
        "notices_sent": list(row.notices.all()[:_NOTICES]),
    }


def model_states(credential_id: int) -> list[dict[str, Any]]:
    """What is held against it for single models now."""
    states = _resting_models().filter(credential=credential_id)
    return [
        {
            "model": row.model,
            "state": row.state,
            "reason": row.reason,
            "until": row.until,
            "verdict": explain(row.state, row.reason).verdict,
        }
        for row in states.order_by("model")
    ]


def _resting_models() -> QuerySet[ModelState]:
    return ModelState.objects.filter(state__in=RESTING, until__gt=timezone.now()).order_by()


def told(moves: Iterable[StateChange]) -> list[dict[str, Any]]:
    """Lines of the history with the state in words. `what`: the new state, or what was done where that stayed as it was."""
    lines = []
    for move in moves:
        verdict = explain(move.to_state, move.reason).verdict
        facts = {name: getattr(move, name) for name in _OF_A_MOVE}
        stayed = move.from_state == move.to_state and move.event
        lines.append({**facts, "verdict": verdict, "what": move.event if stayed else verdict})
    return lines
