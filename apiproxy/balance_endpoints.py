"""What is left of a key, in the shapes that clients look for: our own, OpenRouter's, and that of OpenAI's old billing pages.

`/v1/key` is our own; its `data` is what OpenRouter's `GET /api/v1/key` has. Chat clients such as NextChat and whatever was made for one-api
ask `/v1/dashboard/billing/…`, some without `/v1`: there one credit is one dollar. A key that is used up is answered as well:
that is when somebody wants to know.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from channels.db import database_sync_to_async
from django.db import Error

from accounts import standing
from accounts.standing import CreditLimit, PaceLimit, Standing
from apiproxy.request import JSON, Reply, Request
from apiproxy.runtime import Runtime
from apiproxy.selectors.keys import spent_by_day
from apiproxy.wire import codec
from gateway.lib.credits import MICROS_PER_CREDIT, to_text
from gateway.lib.errors import AuthenticationFailed, InvalidRequest, Unavailable

Json = dict[str, Any]
T = TypeVar("T")

NO_LIMIT_USD = 100_000_000
"""What one-api says for a key without a limit, so that clients know it."""
LONGEST_DAYS = 400
_FIRST_YEAR, _LAST_YEAR = 2000, 2999
_SCOPES = {"k": "key", "u": "owner", "g": "group"}
_NEVER_CACHED = (b"cache-control", b"no-store")
_API_PASSWORD = "API password"  # noqa: S105 - a label


async def key(runtime: Runtime, request: Request) -> Reply:
    """GET /v1/key."""
    found = await _standing(runtime, request)
    return _reply(_UNLIMITED if found is None else _key(found))


async def subscription(runtime: Runtime, request: Request) -> Reply:
    """GET /v1/dashboard/billing/subscription: what was used and what may be used now are the limit together."""
    found = await _standing(runtime, request)
    limit: int | float = NO_LIMIT_USD
    name, until = _API_PASSWORD, 0
    if found is not None:
        name = found.key.description or found.key.masked
        until = int(found.key.expires_at.timestamp()) if found.key.expires_at else 0
        if found.left_micros is not None:
            limit = _number(found.used_micros + max(found.left_micros, 0))
    return _reply(
        {
            "object": "billing_subscription",
            "has_payment_method": True,
            "canceled": False,
            "access_until": until,
            "soft_limit_usd": limit,
            "hard_limit_usd": limit,
            "system_hard_limit_usd": limit,
            "account_name": name,
            "plan": {"id": "wellspring", "title": "Wellspring"},
        }
    )


async def usage(runtime: Runtime, request: Request) -> Reply:
    """GET /v1/dashboard/billing/usage: hundredths of credits, of all time, or of the days from `start_date` on and before `end_date`."""
    found = await _standing(runtime, request)
    span = _span(request.query)
    days: dict[datetime, dict[str, int]] = {}
    total = 0
    if found is not None and span is None:
        total = found.used_micros
    elif found is not None and span is not None:
        days = await _asked(lambda: spent_by_day(found.key.pk, *span))
        total = sum(micros for models in days.values() for micros in models.values())
    return _reply(
        {
            "object": "list",
            "total_usage": _number(total * 100),
            "daily_costs": [
                {
                    "timestamp": int(day.timestamp()),
                    "line_items": [
                        {"name": model, "cost": _number(micros * 100)}
                        for model, micros in models.items()
                    ],
                }
                for day, models in days.items()
            ],
        }
    )


async def _standing(runtime: Runtime, request: Request) -> Standing | None:
    """None: there is no limit, as it is the API password. Raises AuthenticationFailed, Unavailable."""
    principal = await runtime.admission.identify(request)
    if not principal.key_id:
        return None
    key_id = principal.key_id

    def look() -> Standing | None:
        row = standing.by_id(key_id)
        return None if row is None else standing.standing_of(row)

    found = await _asked(look)
    if found is None:
        raise AuthenticationFailed("this API key does not exist: check that it is whole")
    return found


async def _asked(look: Callable[[], T]) -> T:
    try:
        return await database_sync_to_async(look)()
    except Error as exc:
        raise Unavailable(
            "the database of this site does not answer: try again", retry_after_s=5
        ) from exc


def _key(found: Standing) -> Json:
    row = found.key
    requests = [pace for pace in found.paces if pace.name == "rpm"]
    rpm = min((pace.limit for pace in requests), default=-1)
    return {
        "object": "key",
        "key": row.masked,
        "name": row.description,
        "state": found.state,
        "created_at": _iso(row.created_at),
        "expires_at": _iso(row.expires_at),
        "balance": {
            "unit": "credits",
            "total": _text(found.total_micros),
            "used": _text(found.used_micros),
            "reserved": _text(found.reserved_micros),
            "left": _text(found.left_micros),
        },
        "limits": [_limit(limit) for limit in found.credits],
        "rate_limits": [_pace(pace) for pace in found.paces],
        "expiring": [
            {"of": _SCOPES[one.scope], "credits": to_text(one.micros), "expires_at": _iso(one.at)}
            for one in found.expiring
        ],
        "allowed": {
            what: [
                {"of": _SCOPES[scope], "names": list(names)} for scope, names in found.allowed(what)
            ]
            for what in ("models", "dialects", "networks")
        },
        "data": {
            "label": row.description or row.masked,
            "usage": _number(found.used_micros),
            "limit": None if found.total_micros is None else _number(found.total_micros),
            "limit_remaining": None if found.left_micros is None else _number(found.left_micros),
            "limit_reset": None,
            "is_free_tier": False,
            "expires_at": _iso(row.expires_at),
            "rate_limit": {"requests": rpm, "interval": "60s"},
        },
    }


_UNLIMITED: Json = {
    "object": "key",
    "key": None,
    "name": _API_PASSWORD,
    "state": "active",
    "created_at": None,
    "expires_at": None,
    "balance": {"unit": "credits", "total": None, "used": None, "reserved": None, "left": None},
    "limits": [],
    "rate_limits": [],
    "expiring": [],
    "allowed": {"models": [], "dialects": [], "networks": []},
    "data": {
        "label": _API_PASSWORD,
        "usage": 0,
        "limit": None,
        "limit_remaining": None,
        "limit_reset": None,
        "is_free_tier": False,
        "expires_at": None,
        "rate_limit": {"requests": -1, "interval": "60s"},
    },
}


def _limit(limit: CreditLimit) -> Json:
    return {
        "of": _SCOPES[limit.scope],
        "period": limit.name,
        "limit": to_text(limit.limit_micros),
        "used": to_text(limit.used_micros),
        "reserved": to_text(limit.reserved_micros),
        "left": to_text(limit.left_micros),
        "resets_at": _iso(limit.resets_at),
        "time_zone": limit.time_zone or None,
    }


_PACES = {
    "rpm": ("requests", "minute"),
    "rpd": ("requests", "day"),
    "tpm": ("tokens", "minute"),
    "concurrency": ("running_requests", None),
}


def _pace(pace: PaceLimit) -> Json:
    counted, period = _PACES[pace.name]
    return {
        "of": _SCOPES[pace.scope],
        "counts": counted,
        "period": period,
        "limit": pace.limit,
        "used": pace.used,
        "left": pace.left,
        "resets_at": _iso(pace.resets_at),
        "time_zone": pace.time_zone or None,
    }


def _span(query: dict[str, str]) -> tuple[datetime, datetime] | None:
    """The days asked for, of UTC. Raises InvalidRequest."""
    start, end = query.get("start_date", ""), query.get("end_date", "")
    if not start and not end:
        return None
    until = _day(end, "end_date") if end else datetime.now(UTC) + timedelta(days=1)
    since = _day(start, "start_date") if start else until - timedelta(days=LONGEST_DAYS)
    if since >= until:
        raise InvalidRequest(
            "start_date has to be before end_date, which is not counted any more",
            param="start_date",
        )
    if until - since > timedelta(days=LONGEST_DAYS):
        raise InvalidRequest(f"ask for {LONGEST_DAYS} days at the most", param="start_date")
    return since, until


def _day(text: str, name: str) -> datetime:
    try:
        # Some clients send the time of day as well.
        day = date.fromisoformat(text[: len("2026-01-31")])
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            raise ValueError(day)
    except ValueError as exc:
        raise InvalidRequest(f"{name} has to be a date such as 2026-01-31", param=name) from exc
    return datetime.combine(day, time(), UTC)


def _text(micros: int | None) -> str | None:
    return None if micros is None else to_text(micros)


def _number(micros: int) -> int | float:
    """Credits as the JSON number that reads as the same decimal. For clients that know nothing else; ours have the text."""
    credits = Decimal(micros) / MICROS_PER_CREDIT
    return int(credits) if credits == credits.to_integral_value() else float(credits)


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def _reply(value: Json) -> Reply:
    return Reply(200, [JSON, _NEVER_CACHED], codec.dumps(value))
