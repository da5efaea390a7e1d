"""Writes: invitations. A use is one conditional update, so that no more people come by one than it says.

Who may make which: operators alone make invitations. One for an operator or a steward works once and for a week at most, and only with
a password of the person's own: whoever runs the server of a single sign-on, or is let in by it, makes nobody an operator here.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from msgspec import Struct

from accounts.models import Group, Invitation, User
from gateway.lib.errors import Conflict, InvalidRequest

MOST_AT_ONCE = 200
MOST_USES = 100_000
TRUSTED_DAYS = 7
TRUSTED = frozenset({User.Role.OPERATOR, User.Role.STEWARD})
_HINT = 6


class Invited(Struct, frozen=True):
    """The code is not kept: it is told this once."""

    row: Invitation
    code: str


def digest_of(code: str) -> str:
    return hashlib.sha256(code.strip().encode(errors="replace")).hexdigest()


@transaction.atomic
def invite(
    *,
    count: int = 1,
    role: str = User.Role.MEMBER,
    group: Group | None = None,
    max_uses: int = 1,
    expires_at: datetime | None = None,
    note: str = "",
    created_by: User | None = None,
) -> list[Invited]:
    """Raises InvalidRequest, in words, for what nobody may make."""
    now = timezone.now()
    if not 1 <= count <= MOST_AT_ONCE:
        raise InvalidRequest(f"Make 1 to {MOST_AT_ONCE} at once.", param="count")
    if not 1 <= max_uses <= MOST_USES:
        raise InvalidRequest(f"It works 1 to {MOST_USES:,} times.", param="max_uses")
    if role not in User.Role.values:
        raise InvalidRequest("There is no such role.", param="role")
    if expires_at is not None and expires_at <= now:
        raise InvalidRequest("It would have expired already.", param="expires_at")
    if role in TRUSTED:
        if max_uses != 1:
            raise InvalidRequest(
                f"An invitation for an {role} works once: make one for each person."
                if role == User.Role.OPERATOR
                else f"An invitation for a {role} works once: make one for each person.",
                param="max_uses",
            )
        latest = now + timedelta(days=TRUSTED_DAYS)
        if expires_at is not None and expires_at > latest + timedelta(minutes=5):
            raise InvalidRequest(
                f"An invitation for this role works for {TRUSTED_DAYS} days at most.",
                param="expires_at",
            )
        expires_at = expires_at or latest
    made = []
    for _ in range(count):
        code = secrets.token_urlsafe(24)
        row = Invitation(
            digest=digest_of(code),
            hint=code[:_HINT],
            note=note,
            role=role,
            group=group,
            max_uses=max_uses,
            expires_at=expires_at,
            created_by=created_by,
        )
        made.append(Invited(row, code))
    Invitation.objects.bulk_create(one.row for one in made)
    return made


@transaction.atomic
def revoke(*, invitation: Invitation) -> Invitation:
    """Raises Conflict for one that was revoked."""
    revoked = Invitation.objects.filter(pk=invitation.pk, revoked_at=None)
    if not revoked.update(revoked_at=timezone.now()):
        raise Conflict("This invitation was revoked already.")
    invitation.refresh_from_db()
    return invitation


def open_now(now: datetime | None = None) -> Q:
    now = now or timezone.now()
    return (
        Q(revoked_at=None)
        & Q(uses__lt=F("max_uses"))
        & (Q(expires_at=None) | Q(expires_at__gt=now))
    )


def find(digest: str) -> Invitation | None:
    """One that works now."""
    if not digest:
        return None
    return Invitation.objects.filter(open_now(), digest=digest).select_related("group").first()


def take(digest: str) -> Invitation | None:
    """Use it once. Inside the transaction that makes the person; None when it does not work (any more)."""
    if not digest or not Invitation.objects.filter(open_now(), digest=digest).update(
        uses=F("uses") + 1
    ):
        return None
    return Invitation.objects.select_related("group").get(digest=digest)
