"""What is announced now. Every page shows it, so it is read once in half a minute and kept in the cache meanwhile."""

from __future__ import annotations

import logging
from datetime import datetime

from django.core.cache import cache
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from msgspec import Struct
from redis.exceptions import RedisError

from accounts.models import Announcement

logger = logging.getLogger(__name__)

_KEY = "announcements"
# Without Redis other processes learn of a change this late.
_KEPT_S = 30
_MOST = 20


class Shown(Struct, frozen=True):
    id: int
    title: str
    text: str
    level: str
    for_members: bool
    starts_at: datetime
    ends_at: datetime | None


def current(*, member: bool) -> list[Shown]:
    """Newest first. `member`: whether the asker is signed in."""
    now = timezone.now()
    return [
        one
        for one in _coming()
        if one.starts_at <= now
        and (one.ends_at is None or now < one.ends_at)
        and (member or not one.for_members)
    ]


def changed() -> None:
    """Call it in the transaction of the change."""
    transaction.on_commit(_forget)


def _coming() -> list[Shown]:
    """Those that have not ended, so that one begins in time although it was read before."""
    try:
        kept: list[Shown] | None = cache.get(_KEY)
    except RedisError as exc:
        logger.warning("announcements are read anew each time: %s", exc)
        return _read()
    if kept is None:
        kept = _read()
        try:
            cache.set(_KEY, kept, _KEPT_S)
        except RedisError as exc:
            logger.warning("announcements are read anew each time: %s", exc)
    return kept


def _read() -> list[Shown]:
    rows = Announcement.objects.filter(Q(ends_at=None) | Q(ends_at__gt=timezone.now()))
    return [
        Shown(
            id=row.pk,
            title=row.title,
            text=row.text,
            level=row.level,
            for_members=row.audience == Announcement.Audience.MEMBERS,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        )
        for row in rows.order_by("-starts_at", "-pk")[:_MOST]
    ]


def _forget() -> None:
    try:
        cache.delete(_KEY)
    except RedisError as exc:
        logger.warning("announcements may be up to %d s old: %s", _KEPT_S, exc)
