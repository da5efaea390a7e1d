"""Writes: people, their keys, and the first operator."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import keys, selectors
from accounts.models import ApiKey, SetupToken, User
from gateway.lib.errors import InvalidRequest, PermissionDenied
from gateway.lib.models import bump
from quotas import services as quota_services

_USE_RESOLUTION = timedelta(minutes=1)


@transaction.atomic
def create_operator(*, username: str, password: str) -> User:
    """Raises ValidationError when the name is taken or not allowed, or the password is empty.

    Whether a password is good enough is for the caller to ask: a script may have its reasons.
    """
    if not password:
        raise ValidationError({"password": "An operator needs a password."})
    user = User(
        username=User.normalize_username(username),
        role=User.Role.OPERATOR,
        is_staff=True,
        is_superuser=True,
    )
    user.set_password(password)
    user.full_clean()
    user.save()
    return user


@transaction.atomic
def save_user(*, user: User) -> User:
    """Save a person; Django's flags follow the role, and every process learns what it means for the person's keys."""
    user.is_staff = user.is_superuser = user.role == User.Role.OPERATOR
    user.save()
    owned = ApiKey.objects.filter(owner=user)
    if owned.exists():
        owned.update(revision=bump(ApiKey.TOPIC))
    return user


@transaction.atomic
def issue_key(
    *,
    quota_micros: int | None,
    description: str = "",
    owner: User | None = None,
    expires_at: datetime | None = None,
    allowed_models: Sequence[str] = (),
) -> tuple[ApiKey, str]:
    """A new key and its row; the key cannot be had again. `quota_micros` None issues a key without a limit.

    Raises ValidationError for a description, expiry or list of models that cannot be stored.
    """
    minted = keys.mint()
    key = ApiKey(
        public_id=minted.public_id,
        digest=minted.digest,
        description=description,
        owner=owner,
        unlimited=quota_micros is None,
        allowed_models=list(allowed_models),
        expires_at=expires_at,
    )
    key.full_clean(exclude=["balance"])
    key.balance = quota_services.open_balance(total_micros=quota_micros or 0, label=str(key)[:200])
    key.save()
    return key, minted.key


@transaction.atomic
def revoke_key(*, key: ApiKey) -> ApiKey:
    """For good; a second time changes nothing."""
    if key.revoked_at is None:
        key.is_active = False
        key.revoked_at = timezone.now()
        key.save(update_fields=["is_active", "revoked_at"])
    return key


@transaction.atomic
def set_key_active(*, key: ApiKey, is_active: bool) -> ApiKey:
    """Pause a key or let it work again. Raises InvalidRequest for a revoked one."""
    current = ApiKey.objects.select_for_update().get(pk=key.pk)
    if current.revoked_at is not None:
        raise InvalidRequest("A revoked key stays revoked: issue a new one.")
    key.is_active = is_active
    key.save(update_fields=["is_active"])
    return key


@transaction.atomic
def mark_keys_used(*, key_ids: Collection[int], at: datetime) -> None:
    """Keep `last_used_at` true to the minute. No process caches it, so it is not a numbered change."""
    # A locked row is being written by another process, with the same minute.
    stale = (
        ApiKey.objects.select_for_update(skip_locked=True)
        .filter(pk__in=key_ids)
        .exclude(last_used_at__gt=at - _USE_RESOLUTION)
    )
    ApiKey.objects.filter(pk__in=list(stale.values_list("pk", flat=True))).update(last_used_at=at)


@transaction.atomic
def make_setup_token() -> str:
    """The secret part of a link that makes the first operator. Raises PermissionDenied when there is one."""
    if selectors.operator_exists():
        raise PermissionDenied("An operator exists already.")
    token = secrets.token_urlsafe(32)
    SetupToken.objects.create(digest=keys.digest_of(token))
    return token


@transaction.atomic
def use_setup_token(*, token: str, username: str, password: str) -> User:
    """Make the first operator. Raises PermissionDenied when the link does not work (any more), and ValidationError as
    `create_operator` does; then the link stays open."""
    # Whoever holds these rows decides alone: two links used at once cannot make two first operators.
    list(SetupToken.objects.select_for_update().order_by("pk"))
    if selectors.setup_link_state(token) is not selectors.LinkState.OPEN:
        raise PermissionDenied("This set-up link does not work any more.")
    SetupToken.objects.filter(digest=keys.digest_of(token)).update(used_at=timezone.now())
    return create_operator(username=username, password=password)
