"""Writes: a key gets a new secret, and its share links end."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts import keys
from accounts.models import ApiKey, KeyClaim
from accounts.services import changing
from gateway.lib.errors import Conflict, InvalidRequest

MAX_OVERLAP_HOURS = 168


@transaction.atomic
def rotate_key(*, key: ApiKey, overlap_hours: int = 0) -> tuple[ApiKey, str]:
    """A new secret under the same public id; the one before works for `overlap_hours` more, an earlier one no longer.

    The new key cannot be had again. Raises InvalidRequest for another overlap than 0 to MAX_OVERLAP_HOURS, Conflict for a key
    that was revoked or deleted.
    """
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        raise InvalidRequest(
            f"The old secret may work for 0 to {MAX_OVERLAP_HOURS} hours more.",
            param="overlap_hours",
        )
    revision = changing.begin(key)
    if key.revoked_at is not None:
        raise Conflict("A revoked key stays revoked: issue a new one.")
    minted = keys.mint(key.public_id)
    key.previous_digest = key.digest if overlap_hours else ""
    key.previous_until = timezone.now() + timedelta(hours=overlap_hours) if overlap_hours else None
    key.digest = minted.digest
    # Who has the new secret has the key: a link that still waits would take it away from them.
    KeyClaim.objects.filter(key=key, claimed_at=None).delete()
    changing.store(key, revision, "digest", "previous_digest", "previous_until")
    return key, minted.key


@transaction.atomic
def end_overlap(*, key: ApiKey) -> ApiKey:
    """The secret from before the last rotation stops to work now."""
    revision = changing.begin(key)
    key.previous_digest, key.previous_until = "", None
    return changing.store(key, revision, "previous_digest", "previous_until")


@transaction.atomic
def renew_share(*, key: ApiKey) -> ApiKey:
    """The links to its balance page that were handed out lead nowhere any more."""
    revision = changing.begin(key)
    key.share_version += 1
    return changing.store(key, revision, "share_version")
