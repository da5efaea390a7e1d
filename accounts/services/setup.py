"""The one-time link by which the first operator makes an account."""

from __future__ import annotations

import secrets

from django.db import transaction
from django.utils import timezone

from accounts import keys, selectors
from accounts.models import SetupToken, User
from accounts.services.people import create_operator
from gateway.lib.errors import PermissionDenied


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
