"""Limits and balances -> the terms that the proxy works with."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from quotas.models import Balance, Limits
from quotas.terms import Account, Terms


def terms(scope: str, balance: Balance | None, *limits: Limits | None) -> Terms:
    """Of several limits the first that says something about a field counts for it. A balance without an end that no credits
    are limited on is booked on only where it is a key's."""
    rows = [row for row in limits if row is not None]

    def first(name: str) -> Any:
        return next(
            (value for row in rows if (value := getattr(row, name)) not in (None, [], "")), None
        )

    time_zone = first("time_zone") or settings.TIME_ZONE
    credits = {name: first(name) for name in ("day_micros", "week_micros", "month_micros")}
    account = None
    if balance is not None:
        account = Account(balance.pk)
        if any(limit is not None for limit in credits.values()):
            account = Account(balance.pk, **credits, time_zone=time_zone)
        elif balance.open_ended and not scope.startswith("k"):
            account = None
    paces = {name: first(name) for name in ("rpm", "rpd", "tpm", "concurrency")}
    return Terms(
        scope=scope,
        account=account,
        **paces,
        allowed_models=tuple(first("allowed_models") or ()),
        allowed_dialects=tuple(first("allowed_dialects") or ()),
        allowed_networks=tuple(first("allowed_networks") or ()),
        time_zone=time_zone if paces["rpd"] is not None else "",
    )
