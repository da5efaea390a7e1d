"""Keys as pages, the CSV file and the audit log show them: never more of a key than its public id."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from msgspec import Struct

from accounts.filters import STATES
from accounts.models import ApiKey, KeyClaim, KeyTemplate
from accounts.standing import CreditLimit
from gateway.lib import credits
from quotas.models import Limits
from quotas.services import values_of

_A_CHUNK = 1000
_CREDITS = ("day_micros", "week_micros", "month_micros")

COLUMNS = (
    "id",
    "key",
    "description",
    "owner",
    "group",
    "state",
    "quota",
    "used",
    "reserved",
    "remaining",
    "expires_at",
    "lifetime_days",
    "created_at",
    "last_used_at",
    "allowed_models",
    "notes",
)


def with_all(rows: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
    """With what is shown of each, in the same query."""
    return rows.select_related("balance", "limits", "owner", "group", "claim")


def claim_of(key: ApiKey) -> KeyClaim | None:
    """While nobody fetched it."""
    claim: KeyClaim | None = getattr(key, "claim", None)
    return claim if claim is not None and claim.claimed_at is None else None


def quota_of(key: ApiKey) -> int | None:
    return None if key.balance.open_ended else key.balance.total_micros


class Row(Struct, frozen=True):
    """A key in a list. `limits`: what its own credits come to, the total first; none where nothing limits it."""

    key: ApiKey
    state: str
    claim: KeyClaim | None
    limits: list[CreditLimit]
    rotating: bool

    @property
    def words(self) -> str:
        return STATES[self.state]


def row_of(key: ApiKey, now: datetime, limits: list[CreditLimit]) -> Row:
    until = key.previous_until
    return Row(key, key.state_at(now), claim_of(key), limits, until is not None and now < until)


def facts_of(key: ApiKey) -> dict[str, Any]:
    """What people change of it, for the audit log."""
    return {
        "description": key.description,
        "notes": key.notes,
        "owner": key.owner.username if key.owner else None,
        "group": key.group.name if key.group else None,
        "quota": _credits(quota_of(key)),
        "expires_at": key.expires_at,
        "lifetime_days": key.lifetime_days,
        "state": key.state_at(timezone.now()),
        "previous_until": key.previous_until,
        "share_version": key.share_version,
        **limits_of(key.limits),
    }


def facts_of_template(template: KeyTemplate) -> dict[str, Any]:
    return {
        "name": template.name,
        "description": template.description,
        "quota": _credits(template.quota_micros),
        "expires_days": template.expires_days,
        "lifetime_days": template.lifetime_days,
        "group": template.group.name if template.group else None,
        **limits_of(template.limits),
    }


def limits_of(row: Limits | None) -> dict[str, Any]:
    """By the names that people know, credits as text."""
    return {
        name.replace("_micros", "_credits"): _credits(value) if name in _CREDITS else value
        for name, value in values_of(row).items()
    }


def lines_of(rows: QuerySet[ApiKey]) -> Iterator[tuple[str, ...]]:
    """By COLUMNS, newest first, read a thousand at a time."""
    now = timezone.now()
    ordered = with_all(rows).order_by("-pk")
    last: int | None = None
    while True:
        left = ordered if last is None else ordered.filter(pk__lt=last)
        chunk = list(left[:_A_CHUNK])
        if not chunk:
            return
        yield from (_cells(key, now) for key in chunk)
        last = chunk[-1].pk


def _cells(key: ApiKey, now: datetime) -> tuple[str, ...]:
    balance = key.balance
    return (
        key.public_id,
        key.masked,
        key.description,
        key.owner.username if key.owner else "",
        key.group.name if key.group else "",
        key.state_at(now),
        "" if balance.open_ended else credits.to_text(balance.total_micros),
        credits.to_text(balance.used_micros),
        credits.to_text(balance.reserved_micros),
        "" if balance.open_ended else credits.to_text(balance.remaining_micros),
        _moment(key.expires_at),
        str(key.lifetime_days or ""),
        _moment(key.created_at),
        _moment(key.last_used_at),
        " ".join(key.limits.allowed_models) if key.limits else "",
        key.notes,
    )


def _moment(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else ""


def _credits(micros: int | None) -> str | None:
    return None if micros is None else credits.to_text(micros)
