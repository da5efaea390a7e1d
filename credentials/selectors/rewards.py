"""What a contributor earned, for their private page."""

from __future__ import annotations

import time
from datetime import timedelta

from django.conf import settings
from django.db.models import F, QuerySet, Sum
from msgspec import Struct

from credentials.caps import upstream_day
from credentials.models import Contributor, DailyUse
from gateway.lib.credits import micros_or_nothing
from quotas import selectors as quotas
from quotas.models import Balance, Entry
from quotas.selectors import Line

_SERVED = 200
# A worker may be away over a long weekend.
_DAYS = 7
_LINES = 30


class Rewards(Struct, frozen=True):
    """`own`: on a balance of their own, for which they can have a key; otherwise in the wallet of their account. `key`: how that key
    begins, "" before there is one. `waiting_calls` are booked within the hour."""

    per_call_micros: int
    own: bool
    balance: Balance | None
    key: str
    earned_micros: int
    waiting_calls: int
    lines: list[Line]


def reward_micros() -> int:
    """For a call that was served."""
    return micros_or_nothing(settings.REWARD_CREDITS)


def unrewarded() -> QuerySet[DailyUse]:
    """Rows with served calls that nobody got anything for yet, of credentials that somebody lent."""
    return DailyUse.objects.filter(
        day__gte=upstream_day(time.time()) - timedelta(days=_DAYS),
        status=_SERVED,
        calls__gt=F("rewarded"),
        credential__contributor__isnull=False,
    )


def rewards_of(contributor: Contributor) -> Rewards | None:
    """None where nothing is given and nothing was."""
    person = contributor.user
    balance = person.balance if person is not None else contributor.balance
    ids = {one for one in (balance and balance.pk, contributor.balance_id) if one}
    lines = quotas.lines_of(ids, kinds=[Entry.Kind.REWARD], count=_LINES) if ids else []
    if not reward_micros() and not lines:
        return None
    rewarded = Entry.objects.filter(balance__in=ids, kind=Entry.Kind.REWARD)
    waiting = unrewarded().filter(credential__contributor=contributor)
    return Rewards(
        per_call_micros=reward_micros(),
        own=person is None,
        balance=balance,
        key=_key_of(contributor.balance_id),
        earned_micros=rewarded.aggregate(sum=Sum("amount_micros", default=0))["sum"],
        waiting_calls=waiting.aggregate(sum=Sum(F("calls") - F("rewarded"), default=0))["sum"],
        lines=lines,
    )


def _key_of(balance_id: int | None) -> str:
    if balance_id is None:
        return ""
    # By the balance's own relation: whoever keeps the keys is no concern of ours.
    found = Balance.objects.filter(pk=balance_id, key__deleted_at=None)
    public_id = found.values_list("key__public_id", flat=True).first()
    return f"sk-{public_id}…" if public_id else ""
