"""Reads that more than one place needs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from django.db.models import Q
from django.utils import timezone
from msgspec import Struct

from accounts import keys
from accounts.models import ApiKey, Group, SetupToken, User
from quotas.selectors import terms
from quotas.terms import Terms

SETUP_LINK_LIFETIME = timedelta(hours=24)


class KeyRecord(Struct, frozen=True):
    """What the proxy knows of a key. Times are epoch seconds, 0 means never; `owner_id` and `group_id` 0 mean nobody.

    `terms`: the key's own first, then its owner's and their group's, where those say anything. `unused`: its days are counted from
    the first use, which has not been yet.
    """

    key_id: int
    public_id: str
    digest: str
    owner_id: int
    owner_role: str
    group_id: int
    is_active: bool
    expires_at: float
    terms: tuple[Terms, ...]
    previous_digest: str = ""
    previous_until: float = 0.0
    unused: bool = False
    tariff: str = ""
    price_factor: Fraction = Fraction(1)
    description: str = ""

    def __repr__(self) -> str:
        return f"KeyRecord(public_id={self.public_id!r})"


_TOLD = (
    "balance",
    "limits",
    "owner__balance",
    "owner__limits",
    *(
        f"{way}group__{row}"
        for way in ("", "owner__")
        for row in ("balance", "limits", "member_limits")
    ),
)


def principals_by_public_id(public_ids: list[str]) -> list[KeyRecord]:
    """The keys that exist among these, usable or not, in one query.

    A key whose owner was deactivated comes out inactive.
    """
    found = ApiKey.objects.filter(public_id__in=public_ids, deleted_at=None)
    return [record_of(key) for key in found.select_related(*_TOLD)]


def changed_public_ids_since(revision: int) -> tuple[list[str], int]:
    """Keys changed after `revision`, and the revision to ask from next time."""
    changed = list(
        ApiKey.objects.filter(revision__gt=revision)
        .order_by("revision")
        .values_list("public_id", "revision")
    )
    return [public_id for public_id, _ in changed], changed[-1][1] if changed else revision


def record_of(key: ApiKey) -> KeyRecord:
    owner = key.owner
    group = key.group or (owner.group if owner else None)
    return KeyRecord(
        key_id=key.pk,
        public_id=key.public_id,
        digest=key.digest,
        owner_id=owner.pk if owner else 0,
        owner_role=owner.role if owner else "",
        group_id=group.pk if group else 0,
        is_active=key.is_active and (owner is None or owner.is_active),
        expires_at=_epoch(key.expires_at),
        terms=terms_of(key, owner, group),
        previous_digest=key.previous_digest,
        previous_until=_epoch(key.previous_until),
        unused=key.lifetime_days is not None and key.first_used_at is None,
        tariff=group.tariff if group else "",
        price_factor=Fraction(group.price_factor) if group else Fraction(1),
        description=key.description,
    )


def terms_of(key: ApiKey, owner: User | None, group: Group | None) -> tuple[Terms, ...]:
    """What the key, its owner and their group have to say, each with its own balance."""
    found = [terms(f"k{key.pk}", key.balance, key.limits)]
    if owner is not None:
        theirs = owner.group.member_limits if owner.group else None
        found.append(terms(f"u{owner.pk}", owner.balance, owner.limits, theirs))
    if group is not None:
        found.append(terms(f"g{group.pk}", group.balance, group.limits))
    # The key's balance is always booked on, so that every call has a receipt.
    return (found[0], *(one for one in found[1:] if one != Terms(one.scope)))


def _epoch(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0


def names_of(kind: str, ids: Collection[int]) -> dict[int, str]:
    """What tables call them; `kind`: key, user or group. Who is gone has none."""
    if kind == "key":
        rows = ApiKey.objects.filter(pk__in=ids).values_list("pk", "public_id", "description")
        return {pk: f"{keys.masked(public)} {words}".rstrip() for pk, public, words in rows}
    if kind == "user":
        return dict(User.objects.filter(pk__in=ids).values_list("pk", "username"))
    return dict(Group.objects.filter(pk__in=ids).values_list("pk", "name"))


def key_ids_of(*, owner_id: int | None = None, group_id: int | None = None) -> list[int]:
    """The keys that a person owns, or a group uses, now; deleted ones too, as what they used is kept."""
    found = ApiKey.objects.order_by("pk")
    if owner_id is not None:
        found = found.filter(owner=owner_id)
    if group_id is not None:
        found = found.filter(Q(group=group_id) | Q(group=None, owner__group=group_id))
    return list(found.values_list("pk", flat=True))


def price_factors() -> dict[int, Fraction]:
    """Of the groups whose members do not pay the whole price, or more."""
    rows = Group.objects.exclude(price_factor=1).values_list("pk", "price_factor")
    return {pk: Fraction(factor) for pk, factor in rows}


def member_ids_of(group_id: int) -> list[int]:
    return list(User.objects.filter(group=group_id).order_by("pk").values_list("pk", flat=True))


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
