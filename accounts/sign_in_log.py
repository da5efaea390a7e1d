"""Who signed in, who could not, and who left: lines of the audit log, written from Django's signals, so that no way in is missed."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest

from accounts.models import User
from gateway.lib import audit
from gateway.lib.throttles import address_of, count

# Of one address in a minute; somebody who tries a thousand passwords fills no log.
_MOST_FAILURES = 20


def signed_in(request: HttpRequest | None, user: User, **_: Any) -> None:
    _note("account.signed_in", request, user)


def signed_out(request: HttpRequest | None, user: User | None, **_: Any) -> None:
    if user is not None:
        _note("account.signed_out", request, user)


def sign_in_failed(
    credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any
) -> None:
    """The name is kept where it is somebody's: what else is typed there may be a password."""
    if request is None or not _visitor(request):
        return
    if count(f"failures:{address_of(request)}") > _MOST_FAILURES:
        return
    name = str(credentials.get("username") or "")[:150].replace("\0", "")
    # As signing in looks for it: with capitals or without.
    known = User.objects.filter(username__iexact=name).first()
    audit.record(
        actor="nobody",
        action="account.sign_in_failed",
        subject=f"user {known.username}" if known else "an unknown name",
        address=_visitor(request),
    )


def _note(action: str, request: HttpRequest | None, user: User) -> None:
    # Programs sign people in too, from no address: there is nothing to tell.
    if request is not None and (address := _visitor(request)):
        audit.record(
            actor=user.username, action=action, subject=f"user {user.username}", address=address
        )


def _visitor(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR") or "")


def follow() -> None:
    user_logged_in.connect(signed_in, dispatch_uid="accounts.signed_in")
    user_logged_out.connect(signed_out, dispatch_uid="accounts.signed_out")
    user_login_failed.connect(sign_in_failed, dispatch_uid="accounts.sign_in_failed")
