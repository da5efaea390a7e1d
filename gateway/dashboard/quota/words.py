"""How limits and states are called on /quota."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from msgspec import Struct
from msgspec.structs import replace

from accounts.standing import CreditLimit, PaceLimit, Secret, Standing

WHOSE = {"k": "this key", "u": "its owner", "g": "its owner’s group"}
_CREDITS = {
    "total": "In total",
    "day": "Today",
    "week": "This week",
    "month": "This month",
}
_LIMITS = {
    "total": "the total limit",
    "day": "today’s limit",
    "week": "this week’s limit",
    "month": "this month’s limit",
}
_PACES = {
    "rpm": "Requests a minute",
    "tpm": "Tokens a minute",
    "concurrency": "Requests at the same time",
    "rpd": "Requests today",
}
_LOW = 10
"""Per cent left below which a bar warns."""


class Row(Struct, frozen=True):
    """One limit. `unit`: credits or plain numbers. `percent_left` of 100; `tone`: ok, low or out."""

    name: str
    whose: str
    unit: str
    limit: int
    used: int
    left: int
    percent_used: float
    tone: str
    resets_at: datetime | None
    time_zone: str
    reserved: int = 0
    called: str = ""
    """ "today’s limit", within a sentence."""
    verb: str = "used"


class Notice(Struct, frozen=True):
    """`tone`: good, warn or bad. `at`: the moment that the words end with, if any."""

    tone: str
    title: str
    words: str
    at: datetime | None = None


def credit_row(limit: CreditLimit) -> Row:
    row = _row(
        _CREDITS[limit.name],
        limit.scope,
        "credits",
        limit.limit_micros,
        limit.used_micros + limit.reserved_micros,
        limit.left_micros,
        limit.resets_at,
        limit.time_zone,
    )
    return replace(row, reserved=limit.reserved_micros, called=_LIMITS[limit.name])


def pace_row(limit: PaceLimit) -> Row:
    row = _row(
        _PACES[limit.name],
        limit.scope,
        "",
        limit.limit,
        limit.used,
        limit.left,
        limit.resets_at,
        limit.time_zone,
    )
    return replace(row, verb="running" if limit.name == "concurrency" else "used")


def _row(
    name: str,
    scope: str,
    unit: str,
    limit: int,
    used: int,
    left: int,
    resets_at: datetime | None,
    time_zone: str,
) -> Row:
    percent = 100.0 if limit <= 0 else round(min(max(used / limit * 100, 0.0), 100.0), 2)
    tone = "out" if left <= 0 else "low" if 100 - percent < _LOW else "ok"
    return Row(name, WHOSE[scope], unit, limit, used, left, percent, tone, resets_at, time_zone)


def notices(standing: Standing, secret: Secret | None) -> list[Notice]:
    """What has to be known before all else. `secret` None: nobody showed one, it is a share link."""
    found: list[Notice] = []
    key = standing.key
    if secret is Secret.REPLACED:
        found.append(
            Notice(
                "bad",
                "This key was replaced",
                "A newer secret took the place of the one you typed, which does not work any more. Put the new one into your "
                "client; the credits are the same.",
            )
        )
    elif secret is Secret.REPLACING:
        found.append(
            Notice(
                "warn",
                "This key was replaced",
                "Put the new one into your client. The one you typed works until",
                key.previous_until,
            )
        )
    if standing.state != "active":
        found.append(_of_state(standing))
    elif key.lifetime_days and not key.first_used_at:
        days = f"{key.lifetime_days} day{'' if key.lifetime_days == 1 else 's'}"
        found.append(
            Notice("good", "Not used yet", f"It works for {days} from its first request on.")
        )
    return found


def _of_state(standing: Standing) -> Notice:
    key = standing.key
    if standing.state == "exhausted":
        if standing.more_at is not None:
            return Notice(
                "warn",
                "Used up for now",
                "Requests are refused until there are credits again. That is",
                standing.more_at,
            )
        whose = WHOSE[standing.tightest.scope] if standing.tightest else WHOSE["k"]
        return Notice(
            "bad",
            "Used up",
            f"No credits of {whose} are left, so requests are refused. Ask whoever gave you this key for more, or redeem a code.",
        )
    return {
        "paused": Notice(
            "bad",
            "Switched off",
            "Requests with this key are refused. Whoever gave it to you can switch it on again; its credits are kept.",
        ),
        "expired": Notice(
            "bad",
            "Expired",
            "Ask whoever gave you this key for a new one, or for more time. It ended",
            key.expires_at,
        ),
        "revoked": Notice(
            "bad",
            "Revoked",
            "This key will not work again. Ask for a new one.",
        ),
        "owner_off": Notice(
            "bad",
            "Its owner’s account is switched off",
            "Requests with this key are refused until the operator of this site switches the account on again.",
        ),
    }.get(standing.state, Notice("bad", "Out of use", "This key does not work any more."))


def ends_soon(at: datetime | None) -> bool:
    """Within a week."""
    return at is not None and 0 < (at - timezone.now()).total_seconds() < 7 * 86400
