"""Writes: keys are issued and edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import keys
from accounts.models import ApiKey, Group, User
from accounts.services import changing
from gateway.lib.errors import Conflict, InvalidRequest, PermissionDenied
from gateway.lib.models import bump
from quotas import services as quota_services
from quotas.services import batches, limiting

EDITABLE = ("description", "notes", "owner", "group", "expires_at", "lifetime_days")


@transaction.atomic
def issue_key(
    *,
    quota_micros: int | None,
    description: str = "",
    notes: str = "",
    owner: User | None = None,
    group: Group | None = None,
    expires_at: datetime | None = None,
    lifetime_days: int | None = None,
    allowed_models: Sequence[str] = (),
    limits: Mapping[str, Any] | None = None,
    actor: str = "",
) -> tuple[ApiKey, str]:
    """A new key and its row; the key cannot be had again. `quota_micros` None issues a key without a limit. `limits`: any of
    `quotas.services.limiting.FIELDS`. `lifetime_days` are counted from the first use.

    Raises ValidationError for a description, expiry or limits that cannot be stored.
    """
    minted = keys.mint()
    key = ApiKey(
        public_id=minted.public_id,
        digest=minted.digest,
        description=description,
        notes=notes,
        owner=owner,
        group=group,
        expires_at=expires_at,
        lifetime_days=lifetime_days,
    )
    key.full_clean(exclude=["balance"])
    key.balance = quota_services.open_balance(
        total_micros=quota_micros or 0,
        open_ended=quota_micros is None,
        label=str(key),
        actor=actor,
    )
    values = {**(limits or {})}
    if allowed_models:
        values["allowed_models"] = list(allowed_models)
    key.limits = quota_services.save_limits(row=None, values=values) if values else None
    key.save()
    return key, minted.key


@transaction.atomic
def edit_key(
    *,
    key: ApiKey,
    changes: Mapping[str, Any],
    limits: Mapping[str, Any] | None = None,
    actor: str = "",
) -> ApiKey:
    """`changes`: any of EDITABLE, and quota_micros (None: without an end). `limits`: those that change.

    Raises ValidationError for what cannot be stored, and Conflict for a deleted key, and a quota below what is used.
    """
    revision = changing.begin(key)
    fields = [name for name in EDITABLE if name in changes]
    for name in fields:
        setattr(key, name, changes[name])
    if "lifetime_days" in fields and "expires_at" not in fields and key.first_used_at:
        # Its days run already: they were made more, or fewer, or it has as long as it likes.
        days = key.lifetime_days
        key.expires_at = None if days is None else key.first_used_at + timedelta(days=days)
        fields.append("expires_at")
    others = [field.name for field in ApiKey._meta.fields if field.name not in fields]
    key.clean_fields(exclude=others)
    if limits is not None:
        _limit(key, limits)
        fields.append("limits")
    if "quota_micros" in changes:
        batches.bound(balance_id=key.balance_id, total_micros=changes["quota_micros"], actor=actor)
    changing.store(key, revision, *fields)
    key.refresh_from_db()
    return key


def _limit(key: ApiKey, values: Mapping[str, Any]) -> None:
    counted = limiting.counts_credits(key.limits)
    key.limits = quota_services.save_limits(row=key.limits, values=values)
    if key.limits is not None and not counted and limiting.counts_credits(key.limits):
        quota_services.count_periods(
            balance_id=key.balance_id, time_zone=key.limits.time_zone or settings.TIME_ZONE
        )


@transaction.atomic
def allow_models(*, key: ApiKey, allowed_models: Sequence[str]) -> None:
    """Names or globs; none allows every model."""
    edit_key(key=key, changes={}, limits={"allowed_models": list(allowed_models)})


@transaction.atomic
def give_credits(*, key: ApiKey, amount_micros: int, reason: str = "", actor: str = "") -> ApiKey:
    """Below zero takes away. Raises InvalidRequest and Conflict as `quotas.services.batches.give` does, and Conflict for a deleted key
    and one without a limit."""
    changing.begin(key)
    if key.balance.open_ended:
        raise Conflict("This key has no limit: set a quota first.")
    batches.give(
        balance_id=key.balance_id,
        amount_micros=amount_micros,
        reason=reason or ("granted" if amount_micros > 0 else "taken away"),
        actor=actor,
    )
    key.refresh_from_db()
    return key


def own_keys_left(user: User) -> int | None:
    """How many more keys a person may make; None: as many as they like."""
    if user.is_operator:
        return None
    if user.group is None:
        return 0
    having = ApiKey.objects.filter(owner=user, deleted_at=None, revoked_at=None).count()
    return max(user.group.member_keys - having, 0)


@transaction.atomic
def make_own_key(
    *,
    user: User,
    description: str = "",
    quota_micros: int | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """By a member, for themselves: it spends from their wallet, and with `quota_micros` no more than that.

    Raises PermissionDenied when their group lets nobody make keys, Conflict when they have as many as they may, and
    ValidationError as `issue_key` does.
    """
    # Whoever holds the counter makes keys alone: two at the same time cannot both be the last.
    bump(ApiKey.TOPIC)
    user = User.objects.select_related("group").get(pk=user.pk)
    if not user.is_active:
        raise PermissionDenied("This account is switched off.")
    left = own_keys_left(user)
    if left == 0:
        if user.group is None or not user.group.member_keys:
            raise PermissionDenied("You may not make keys yourself: ask the operator of this site.")
        raise Conflict(f"You have {user.group.member_keys} keys already: delete one first.")
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidRequest("A new key has to end in the future.", param="expires_at")
    return issue_key(
        quota_micros=quota_micros,
        description=description,
        owner=user,
        expires_at=expires_at,
        actor=user.get_username(),
    )
