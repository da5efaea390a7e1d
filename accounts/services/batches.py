"""Writes: many keys at once, and the links by which keys that wait are fetched."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from msgspec import Struct

from accounts import keys, links
from accounts.models import ApiKey, Group, KeyClaim, User
from accounts.services import changing
from gateway.lib import audit
from gateway.lib.errors import Conflict, InvalidRequest, PermissionDenied
from gateway.lib.models import bump
from quotas import services as quota_services
from quotas.services import batches

MOST_KEYS = 1000
MAX_CLAIM_DAYS = 365
CLAIM_DAYS = 14


class Issued(Struct, frozen=True):
    """`key` or `code` is for its owner alone and cannot be had again; the other is empty. `until`: of the code."""

    row: ApiKey
    key: str = ""
    code: str = ""
    until: datetime | None = None

    def __repr__(self) -> str:
        return f"Issued(row={self.row!r})"


@transaction.atomic
def issue_batch(
    *,
    count: int,
    quota_micros: int | None,
    description: str = "",
    notes: str = "",
    owner: User | None = None,
    group: Group | None = None,
    expires_at: datetime | None = None,
    lifetime_days: int | None = None,
    limits: Mapping[str, Any] | None = None,
    claim_days: int | None = None,
    actor: str = "",
) -> list[Issued]:
    """`count` keys that are alike, numbered in their description. With `claim_days` nobody knows them yet: each is fetched by a link that
    works so long.

    Raises InvalidRequest for counts and days that are out of bounds, ValidationError as `issue_key` does.
    """
    if not 1 <= count <= MOST_KEYS:
        raise InvalidRequest(f"Issue 1 to {MOST_KEYS:,} keys at once.", param="count")
    until = None if claim_days is None else _until(claim_days)
    minted = [keys.mint() for _ in range(count)]
    rows = [
        ApiKey(
            public_id=one.public_id,
            digest=one.digest,
            description=_numbered(description, number, count),
            notes=notes,
            owner=owner,
            group=group,
            expires_at=expires_at,
            lifetime_days=lifetime_days,
        )
        for number, one in enumerate(minted, 1)
    ]
    # They are alike: what holds of the last, with the longest description, holds of all.
    rows[-1].full_clean(exclude=["balance"])
    model = quota_services.save_limits(row=None, values=limits) if limits else None
    copies = batches.copy_limits_for_each(model, count=count - 1)
    balances = batches.open_balances(
        labels=[str(row) for row in rows], total_micros=quota_micros, actor=actor
    )
    revision = bump(ApiKey.TOPIC)
    for row, balance, own in zip(rows, balances, [model, *copies], strict=True):
        row.balance, row.limits, row.revision = balance, own, revision
    ApiKey.objects.bulk_create(rows)
    if until is None:
        return [Issued(row, key=one.key) for row, one in zip(rows, minted, strict=True)]
    codes = [links.new_claim_code() for _ in rows]
    KeyClaim.objects.bulk_create(
        KeyClaim(key=row, digest=keys.digest_of(code), expires_at=until)
        for row, code in zip(rows, codes, strict=True)
    )
    return [Issued(row, code=code, until=until) for row, code in zip(rows, codes, strict=True)]


@transaction.atomic
def renew_claim(*, key: ApiKey, claim_days: int = CLAIM_DAYS) -> Issued:
    """Another link for a key that still waits; the one before ends. Raises Conflict for a key that somebody has, or that has ended."""
    until = _until(claim_days)
    changing.begin(key)
    if _is_over(key):
        raise Conflict("This key has ended: issue a new one, or move its end first.")
    code = links.new_claim_code()
    waiting = KeyClaim.objects.filter(key=key, claimed_at=None)
    if not waiting.update(digest=keys.digest_of(code), expires_at=until):
        raise Conflict("Somebody has this key already: rotate it to hand it out again.")
    return Issued(key, code=code, until=until)


@transaction.atomic
def claim_key(*, code: str, address: str = "") -> tuple[ApiKey, str]:
    """The key that waits behind a link. Its secret is made now, so nobody had it before, and nobody gets it a second time.

    Raises PermissionDenied when the link does not work (any more).
    """
    digest = keys.digest_of(code)
    refusal = PermissionDenied("This link does not work any more.")
    # Strangers come here: only a code that there is may take the counter.
    waiting = KeyClaim.objects.filter(digest=digest, claimed_at=None).select_related("key").first()
    if waiting is None:
        raise refusal
    key = waiting.key
    try:
        revision = changing.begin(key)
    except Conflict:
        raise refusal from None
    now = timezone.now()
    open_still = KeyClaim.objects.filter(digest=digest, claimed_at=None, expires_at__gt=now)
    if _is_over(key) or not open_still.update(claimed_at=now):
        raise refusal
    minted = keys.mint(key.public_id)
    key.digest = minted.digest
    audit.record(
        actor="claim link", action="keys.claim", subject=f"key {key.public_id}", address=address
    )
    return changing.store(key, revision, "digest"), minted.key


def _is_over(key: ApiKey) -> bool:
    return key.state_at(timezone.now()) in ("expired", "revoked")


def _until(claim_days: int) -> datetime:
    if not 1 <= claim_days <= MAX_CLAIM_DAYS:
        raise InvalidRequest(f"A link may work for 1 to {MAX_CLAIM_DAYS} days.", param="claim_days")
    return timezone.now() + timedelta(days=claim_days)


def _numbered(description: str, number: int, count: int) -> str:
    return f"{description} {number}".lstrip() if count > 1 else description
