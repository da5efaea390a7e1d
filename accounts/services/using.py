"""Writes: when keys are used."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction

from accounts.models import ApiKey
from gateway.lib.models import bump

_USE_RESOLUTION = timedelta(minutes=1)


@transaction.atomic
def mark_keys_used(*, key_ids: Collection[int], at: datetime) -> None:
    """Keep `last_used_at` true to the minute, which no process caches, so it is not a numbered change; and begin the days of
    keys that end so long after their first use, which is one."""
    _begin_days(key_ids, at)
    # A locked row is being written by another process, with the same minute.
    stale = (
        ApiKey.objects.select_for_update(skip_locked=True)
        .filter(pk__in=key_ids)
        .exclude(last_used_at__gt=at - _USE_RESOLUTION)
    )
    ApiKey.objects.filter(pk__in=list(stale.values_list("pk", flat=True))).update(last_used_at=at)


def _begin_days(key_ids: Collection[int], at: datetime) -> None:
    unused = ApiKey.objects.filter(
        pk__in=key_ids, lifetime_days__isnull=False, first_used_at__isnull=True
    )
    if not unused.exists():
        return
    # The counter before the rows, as everywhere; whoever gets it second finds none that is unused.
    revision = bump(ApiKey.TOPIC)
    for pk, days, ends in list(unused.values_list("pk", "lifetime_days", "expires_at")):
        lived_out = at + timedelta(days=days or 0)
        unused.filter(pk=pk).update(
            first_used_at=at,
            expires_at=min(ends, lived_out) if ends else lived_out,
            revision=revision,
        )
