"""Tokens for scripts: made, used, revoked."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import keys
from accounts.models import ApiToken, User
from gateway.lib import scopes
from gateway.lib.errors import Conflict, InvalidRequest, PermissionDenied

PREFIX = "wsp_"
MOST_LIVE = 100
_HINT_LENGTH = len(PREFIX) + 4
_LENGTH = len(PREFIX) + 43
_USE_RESOLUTION = timedelta(minutes=1)


@transaction.atomic
def make_token(
    *,
    owner: User,
    name: str,
    scopes_: Collection[str],
    expires_at: datetime | None = None,
    by: ApiToken | None = None,
) -> tuple[ApiToken, str]:
    """The row and the token, which cannot be had again. `by`: the token that asks for it; it cannot hand out more than it has, nor
    for longer. Raises InvalidRequest, PermissionDenied, Conflict.
    """
    wanted = sorted(set(scopes_))
    if not wanted:
        raise InvalidRequest("Give at least one scope.", param="scopes")
    for scope in wanted:
        _check_scope(scope)
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidRequest("It would have expired already.", param="expires_at")
    if by is not None:
        if not scopes.within(wanted, by.scopes):
            raise PermissionDenied("A token cannot make one that may do more than itself.")
        if by.expires_at and (expires_at is None or expires_at > by.expires_at):
            raise PermissionDenied("A token cannot make one that lasts longer than itself.")
    # Whoever holds this row counts alone.
    User.objects.select_for_update().get(pk=owner.pk)
    if live(owner).count() >= MOST_LIVE:
        raise Conflict(f"There are {MOST_LIVE} tokens in use already: revoke some first.")
    text = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        name=name,
        owner=owner,
        digest=keys.digest_of(text),
        hint=text[:_HINT_LENGTH],
        scopes=wanted,
        expires_at=expires_at,
    )
    return token, text


def _check_scope(scope: str) -> None:
    resource, _, does = scope.partition(":")
    known = resource in scopes.resources() and does in (scopes.READ, scopes.WRITE)
    if scope != scopes.EVERYTHING and not known:
        raise InvalidRequest(
            f"{scope[:60]!r} is no scope. There are *, and read or write of "
            f"{', '.join(sorted(scopes.resources()))}: for example jobs:read.",
            param="scopes",
        )


def live(owner: User | None = None) -> QuerySet[ApiToken]:
    """Those that work now."""
    found = ApiToken.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None
    )
    return found if owner is None else found.filter(owner=owner)


def use_token(*, text: str) -> ApiToken | None:
    """The token with its owner, or None where it does not work (any more); its last use is kept to the minute."""
    if len(text) != _LENGTH or not text.startswith(PREFIX) or not text.isascii():
        return None
    token = live().select_related("owner").filter(digest=keys.digest_of(text)).first()
    if token is None or not keys.matches(text, token.digest) or not token.owner.is_active:
        return None
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at <= now - _USE_RESOLUTION:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        token.last_used_at = now
    return token


@transaction.atomic
def revoke_token(*, token: ApiToken) -> ApiToken:
    """For good; a second time changes nothing."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
    token.refresh_from_db(fields=["revoked_at"])
    return token
