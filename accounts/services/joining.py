"""Writes: somebody signs up, by whatever way. SIGN_UP and the invitation are asked here, in the transaction that makes the person."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from accounts.models import Group, InvitationUse, User
from accounts.services import invitations
from accounts.services.wallets import open_wallet
from gateway.lib import audit
from gateway.lib.errors import PermissionDenied

CLOSED = "This site takes no new people now."
UNINVITED = "An invitation is needed to sign up here. Ask the operator of this site for one."
SPENT = "This invitation does not work any more: it was used, has expired, or was revoked."
MANAGERS_WORDS = (
    "This invitation is for somebody who manages this site: sign up with a name and a password of your own. "
    "The other account can be connected afterwards."
)


def may_join(*, digest: str) -> bool:
    """Whether it is worth showing the form; `join` decides."""
    if settings.SIGN_UP == "open":
        return True
    return settings.SIGN_UP == "invite" and invitations.find(digest) is not None


@transaction.atomic
def join(*, user: User, digest: str, by_password: bool, address: str = "") -> User:
    """Save the new `user` with role, group and wallet. An invitation is used where one was brought, on an open site too.

    Raises PermissionDenied for whoever may not, IntegrityError when the name was taken meanwhile; then nothing was used.
    """
    if settings.SIGN_UP not in ("open", "invite"):
        raise PermissionDenied(CLOSED)
    invitation = invitations.take(digest)
    if invitation is None and settings.SIGN_UP != "open":
        raise PermissionDenied(SPENT if digest else UNINVITED)
    role = invitation.role if invitation else User.Role.MEMBER
    if role in invitations.TRUSTED and not by_password:
        raise PermissionDenied(MANAGERS_WORDS)
    user.role = role
    user.is_staff = user.is_superuser = role == User.Role.OPERATOR
    user.group = (invitation.group if invitation else None) or default_group()
    user.save()
    open_wallet(user=user)
    if invitation is not None:
        InvitationUse.objects.create(invitation=invitation, user=user)
    audit.record(
        actor=user.username,
        action="account.signed_up",
        subject=f"user {user.username}",
        address=address,
        role=role,
        group=user.group.name if user.group else "",
        invitation=invitation.pk if invitation else None,
        by="password" if by_password else "an account elsewhere",
    )
    return user


def default_group() -> Group | None:
    return Group.objects.filter(is_default=True).select_related("member_limits").first()
