"""Writes: people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import ApiKey, Group, Invitation, User
from accounts.services.invitations import TRUSTED
from accounts.services.joining import default_group
from accounts.services.wallets import counted, open_wallet
from gateway.lib.errors import Conflict, InvalidRequest
from gateway.lib.models import bump
from quotas import services as quota_services
from quotas.services import batches

EDITABLE = ("username", "email", "first_name", "last_name", "role", "group", "is_active")
LAST_OPERATOR = "This is the last operator: make somebody else one first."


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
    _name_is_free(user)
    user.set_password(password)
    user.full_clean()
    user.save()
    return user


@transaction.atomic
def create_user(
    *,
    username: str,
    role: str = User.Role.MEMBER,
    group: Group | None = None,
    email: str = "",
    first_name: str = "",
    last_name: str = "",
    limits: Mapping[str, Any] | None = None,
    actor: str = "",
) -> User:
    """Somebody made by an operator, who gets in by a link that sets the password. Without `group` they join the default one.

    Raises ValidationError when the name is taken or not allowed.
    """
    user = User(
        username=User.normalize_username(username),
        email=email.lower(),
        first_name=first_name,
        last_name=last_name,
        role=role,
        group=group or default_group(),
    )
    _follow_role(user)
    user.set_unusable_password()
    _name_is_free(user)
    user.full_clean(exclude=["password"])
    if limits:
        user.limits = quota_services.save_limits(row=None, values=limits)
    user.save()
    return open_wallet(user=user, actor=actor)


@transaction.atomic
def save_user(*, user: User) -> User:
    """Save a person; Django's flags follow the role, and every process learns what it means for the person's keys. Another role
    ends the sessions of the one before.

    Raises Conflict when no operator would be left.
    """
    # The counter before the rows, as everywhere: two who wait for each other's rows would both wait for ever.
    revision = bump(ApiKey.TOPIC)
    before = _before(user)
    _follow_role(user)
    user.email = user.email.lower()
    if before is not None:
        _end(before, user)
    user.save()
    counted(user=user)
    ApiKey.objects.filter(owner=user).update(revision=revision)
    return user


@transaction.atomic
def edit_user(
    *,
    user: User,
    changes: Mapping[str, Any],
    limits: Mapping[str, Any] | None = None,
    actor: str = "",
) -> User:
    """`changes`: any of EDITABLE, and wallet_micros (None: without an end). `limits`: those that change. Who moves to another group
    keeps the wallet, and gets that group's grant only without one.

    Raises ValidationError for what cannot be stored, Conflict for the last operator, and for a wallet below what is used.
    """
    bump(ApiKey.TOPIC)
    user = User.objects.select_for_update().get(pk=user.pk)
    group_before = user.group_id
    for name in EDITABLE:
        if name in changes:
            setattr(user, name, changes[name])
    _follow_role(user)
    if "username" in changes:
        user.username = User.normalize_username(user.username)
        _name_is_free(user)
    user.full_clean(exclude=["password", "balance", "limits"])
    if limits is not None:
        user.limits = quota_services.save_limits(row=user.limits, values=limits)
    if user.group_id != group_before and "wallet_micros" not in changes:
        # Before anything is counted: that takes a wallet, and makes one without an end.
        open_wallet(user=user, actor=actor)
    save_user(user=user)
    if "wallet_micros" in changes:
        _set_wallet(user, changes["wallet_micros"], actor)
    return User.objects.select_related("group", "balance", "limits").get(pk=user.pk)


@transaction.atomic
def give_user_credits(*, user: User, amount_micros: int, reason: str, actor: str = "") -> User:
    """Into the wallet; below zero takes away. Raises InvalidRequest, Conflict.

    A wallet without an end stays so: what is given counts once it gets one.
    """
    user = User.objects.select_for_update().get(pk=user.pk)
    if user.balance_id is None:
        raise Conflict("This person has no wallet: there is no limit on it. Set its total first.")
    batches.give(
        balance_id=user.balance_id, amount_micros=amount_micros, reason=reason, actor=actor
    )
    return User.objects.select_related("group", "balance", "limits").get(pk=user.pk)


@transaction.atomic
def end_sessions(*, user: User) -> None:
    """Of all browsers, at once and in every process."""
    User.objects.filter(pk=user.pk).update(sessions_version=F("sessions_version") + 1)
    user.refresh_from_db(fields=["sessions_version"])


def _name_is_free(user: User) -> None:
    """Names are typed with capitals or without to sign in, so no two differ by these alone."""
    if User.objects.filter(username__iexact=user.username).exclude(pk=user.pk).exists():
        raise ValidationError({"username": "A user with that username already exists."})


def _follow_role(user: User) -> None:
    user.is_staff = user.is_superuser = user.role == User.Role.OPERATOR


def _before(user: User) -> User | None:
    """As it is stored. Whoever may take an operator away waits for the others who do: two of them leave one."""
    if user._state.adding:
        return None
    operators = list(
        User.objects.select_for_update()
        .filter(role=User.Role.OPERATOR, is_active=True)
        .order_by("pk")
    )
    before = User.objects.filter(pk=user.pk).first()
    leaves = before is not None and before.is_operator and not user.is_operator
    if leaves and all(one.pk == user.pk for one in operators):
        raise Conflict(LAST_OPERATOR)
    return before


def _end(before: User, user: User) -> None:
    """What `user` had as `before` and may not keep."""
    if (before.role, before.is_active) != (user.role, user.is_active):
        user.sessions_version = before.sessions_version + 1
    if before.email != user.email:
        # allauth keeps the one that somebody signed up with, and sends links for new passwords there.
        EmailAddress.objects.filter(user=user).delete()
    if before.is_operator and not user.is_operator:
        # They know the codes, and would be back.
        own = Invitation.objects.filter(created_by=user, role__in=TRUSTED, revoked_at=None)
        own.update(revoked_at=timezone.now())


def _set_wallet(user: User, micros: int | None, actor: str) -> None:
    if user.balance is None:
        if micros is not None:
            user.balance = quota_services.open_balance(
                total_micros=micros, label=user.username, actor=actor
            )
            user.save(update_fields=["balance"])
    else:
        _set_total(user.balance_id, micros, actor)


def _set_total(balance_id: int | None, micros: int | None, actor: str) -> None:
    if balance_id is None:
        raise InvalidRequest("There is no wallet.")
    try:
        quota_services.set_total(balance_id=balance_id, total_micros=micros, actor=actor)
    except ValueError as exc:
        raise Conflict(f"{exc}".capitalize() + ".") from exc
