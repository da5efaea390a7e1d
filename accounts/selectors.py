"""Reads that more than one place needs."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from django.utils import timezone
from msgspec import Struct

from accounts import keys
from accounts.models import ApiKey, SetupToken, User

SETUP_LINK_LIFETIME = timedelta(hours=24)


class KeyRecord(Struct, frozen=True):
    """What the proxy knows of a key. `expires_at` is epoch seconds, 0 means never; `owner_id` 0 means nobody."""

    key_id: int
    public_id: str
    digest: str
    balance_id: int
    owner_id: int
    owner_role: str
    allowed_models: tuple[str, ...]
    is_active: bool
    expires_at: float
    unlimited: bool = False
    description: str = ""

    def __repr__(self) -> str:
        return f"KeyRecord(public_id={self.public_id!r})"


def principals_by_public_id(public_ids: list[str]) -> list[KeyRecord]:
    """The keys that exist among these, usable or not, in one query.

    A key whose owner was deactivated comes out inactive.
    """
    found = ApiKey.objects.filter(public_id__in=public_ids).select_related("owner")
    return [_record(key, key.owner) for key in found]


def changed_public_ids_since(revision: int) -> tuple[list[str], int]:
    """Keys changed after `revision`, and the revision to ask from next time."""
    changed = list(
        ApiKey.objects.filter(revision__gt=revision)
        .order_by("revision")
        .values_list("public_id", "revision")
    )
    return [public_id for public_id, _ in changed], changed[-1][1] if changed else revision


def _record(key: ApiKey, owner: User | None) -> KeyRecord:
    return KeyRecord(
        key_id=key.pk,
        public_id=key.public_id,
        digest=key.digest,
        balance_id=key.balance_id,
        owner_id=owner.pk if owner else 0,
        owner_role=owner.role if owner else "",
        allowed_models=tuple(key.allowed_models),
        is_active=key.is_active and (owner is None or owner.is_active),
        expires_at=key.expires_at.timestamp() if key.expires_at else 0.0,
        unlimited=key.unlimited,
        description=key.description,
    )


class LinkState(StrEnum):
    """What can be said of a set-up link. LATE: an operator exists, made by another way."""

    OPEN = "open"
    UNKNOWN = "unknown"
    USED = "used"
    LATE = "late"
    EXPIRED = "expired"


def operator_exists() -> bool:
    return User.objects.filter(role=User.Role.OPERATOR).exists()


def setup_link_state(token: str) -> LinkState:
    link = SetupToken.objects.filter(digest=keys.digest_of(token)).first()
    if link is None:
        return LinkState.UNKNOWN
    if link.used_at is not None:
        return LinkState.USED
    if operator_exists():
        return LinkState.LATE
    if link.created_at + SETUP_LINK_LIFETIME <= timezone.now():
        return LinkState.EXPIRED
    return LinkState.OPEN
