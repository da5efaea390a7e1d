"""Writes: the key by which somebody spends a balance that they earned."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from accounts import keys
from accounts.models import ApiKey
from gateway.lib.errors import Conflict
from quotas.models import Balance


@transaction.atomic
def issue_key_on(*, balance: Balance, description: str) -> tuple[ApiKey, str]:
    """A new key that spends this balance; it cannot be had again. Raises Conflict when the balance has one: one is enough, also for two
    clicks at the same time."""
    minted = keys.mint()
    key = ApiKey(
        public_id=minted.public_id,
        digest=minted.digest,
        description=description[:200],
        balance=balance,
    )
    try:
        with transaction.atomic():
            key.save()
    except IntegrityError as exc:
        raise Conflict("There is a key for these credits already.") from exc
    return key, minted.key


def key_on(balance_id: int | None) -> ApiKey | None:
    """That one, whatever became of it."""
    return ApiKey.objects.filter(balance=balance_id).first() if balance_id else None
