"""Campaigns: what the codes of one give, to whom, from when until when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from gateway.lib.errors import Conflict, InvalidRequest
from quotas.models import Campaign
from quotas.services.balances import MAX_MICROS

FIELDS = (
    "name",
    "note",
    "amount_micros",
    "credit_days",
    "starts_at",
    "ends_at",
    "once_each",
    "is_active",
)


@transaction.atomic
def save_campaign(*, campaign: Campaign | None, values: Mapping[str, Any]) -> Campaign:
    """A new one, or one with these of FIELDS changed; what was redeemed already stays as it was. Raises InvalidRequest, Conflict when
    the name is taken."""
    unknown = set(values) - set(FIELDS)
    if unknown:
        raise TypeError(f"no fields of a campaign: {', '.join(sorted(unknown))}")
    row = campaign or Campaign()
    for name, value in values.items():
        setattr(row, name, value)
    if not 0 < (row.amount_micros or 0) <= MAX_MICROS:
        raise InvalidRequest("A code gives more than zero credits.", param="credits")
    if row.starts_at and row.ends_at and row.ends_at <= row.starts_at:
        raise InvalidRequest("It would end before it starts.", param="ends_at")
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as exc:
        raise Conflict("There is a campaign of this name already.") from exc
    return row
