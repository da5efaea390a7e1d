"""Writes: the limits of a key, a person, a group or a template, and whether what they count has a balance to be counted on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils import timezone

from quotas.models import Balance, Limits
from quotas.periods import day_of
from quotas.services.balances import count_periods, open_balance

CREDIT_FIELDS = ("day_micros", "week_micros", "month_micros")
FIELDS = (
    *CREDIT_FIELDS,
    "rpm",
    "rpd",
    "tpm",
    "concurrency",
    "allowed_models",
    "allowed_dialects",
    "allowed_networks",
    "time_zone",
)


def save_limits(*, row: Limits | None, values: Mapping[str, Any]) -> Limits | None:
    """The row with these of FIELDS changed. None as long as nothing is limited; a row that stops to limit stays, empty.

    Whoever owns the row makes the processes read it again.
    """
    unknown = set(values) - set(FIELDS)
    if unknown:
        raise TypeError(f"no such limits: {', '.join(sorted(unknown))}")
    if row is None:
        if all(value in (None, [], "") for value in values.values()):
            return None
        row = Limits()
    for name, value in values.items():
        setattr(row, name, value)
    row.full_clean()
    row.save()
    return row


def copy_limits(row: Limits | None) -> Limits | None:
    """Of a template, for what is made after it."""
    return None if row is None else Limits.objects.create(**values_of(row))


def values_of(row: Limits | None) -> dict[str, Any]:
    """By FIELDS; of no row, those that do not limit."""
    row = row or Limits()
    return {name: getattr(row, name) for name in FIELDS}


def counts_credits(*rows: Limits | None) -> bool:
    """Whether any of them limits credits by day, week or month, which takes a balance to count on."""
    return any(
        getattr(row, name) is not None for row in rows if row is not None for name in CREDIT_FIELDS
    )


def balance_for(
    *, balance: Balance | None, rows: tuple[Limits | None, ...], label: str, time_zone: str = ""
) -> Balance | None:
    """The balance that these limits need, made without an end where there was none; its counts begin with what the ledger knows
    of the running day, week and month, also where the last call that was counted was on another day. `time_zone` "": the site's."""
    time_zone = time_zone or settings.TIME_ZONE
    if not counts_credits(*rows):
        return balance
    if balance is None:
        balance = open_balance(label=label, open_ended=True)
    elif balance.day != day_of(timezone.now().timestamp(), time_zone):
        count_periods(balance_id=balance.pk, time_zone=time_zone)
    return balance
