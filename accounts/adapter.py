"""Where allauth asks this site: whether somebody may sign up, how they join, which address they come from, and how the secret of an
authenticator app is kept."""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.models import User
from accounts.services import invitations, joining
from accounts.sites import site_of
from gateway.lib import crypto
from gateway.lib.access import is_operator
from gateway.lib.errors import GatewayError

logger = logging.getLogger(__name__)

_FRESH_S = 300
_RESERVED = frozenset({"command", "nobody", "none", "panel-password"})

INVITATION = "invitation"
"""The session's entry: the digest of the code that a visitor came with."""


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def get_client_ip(self, request: HttpRequest) -> str:
        """Behind trusted proxies the server has put the client's address there. Programs that sign people in have none."""
        return request.META.get("REMOTE_ADDR") or "0.0.0.0"

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Not of somebody who signed in a moment ago: they would type the same password twice."""
        records = get_authentication_records(self.request, self.request.user)
        fresh = bool(records) and time.time() - records[-1]["at"] < _FRESH_S
        return not fresh and super().is_reauthentication_required(app=app, **kwargs)

    def clean_username(self, username: str, shallow: bool = False) -> str:
        """Not what stands for somebody else in the audit log, and no number, which a filter takes for another's id."""
        name: str = super().clean_username(username, shallow=shallow)
        if name.lower() in _RESERVED or name.isdecimal():
            raise self.validation_error("username_blacklisted")
        return name

    def set_password(self, user: User, password: str) -> None:
        """Nothing else of the person is written, who was read before all the hashing: an operator may have changed it."""
        user.set_password(password)
        user.save(update_fields=["password"])

    def get_reset_password_from_key_url(self, key: str) -> str:
        """In a mail that anybody can ask for: not to the host that the asker named, where PUBLIC_URL says another."""
        link: str = super().get_reset_password_from_key_url(key)
        return site_of(self.request) + urlsplit(link).path

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return joining.may_join(digest=request.session.get(INVITATION, ""))

    def save_user(self, request: HttpRequest, user: Any, form: Any, commit: bool = True) -> Any:
        """`user` joins as the invitation says, or not at all: the views' own look at the door was only for the page."""
        user = super().save_user(request, user, form, commit=False)
        return join(request, user, by_password=True) if commit else user


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Raises ImmediateHttpResponse, with the page that says why not: allauth would show it without the words."""
        if not AccountAdapter(request).is_open_for_signup(request):
            raise ImmediateHttpResponse(refusal(request))
        return True

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> Any:
        user = sociallogin.user
        user.set_unusable_password()
        accounts = AccountAdapter(request)
        if form:
            accounts.save_user(request, user, form, commit=False)
            user.set_unusable_password()
            # They were asked because the provider's address is somebody's here: theirs is what they typed, or none.
            theirs = (user.email or "").lower()
            known = sociallogin.email_addresses
            sociallogin.email_addresses = [one for one in known if one.email.lower() == theirs]
        else:
            accounts.populate_username(request, user)
        try:
            with transaction.atomic():
                join(request, user, by_password=False)
                sociallogin.save(request)
        except IntegrityError as exc:
            words = "This account elsewhere has just been given a person here. Sign in with it."
            raise ImmediateHttpResponse(closed(request, words, status=409)) from exc
        return user

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """The visitor is told that it failed, and the log what the provider said."""
        if exception is not None:
            logger.warning("Signing in by %s failed: %.500s", provider.name, repr(exception))

    def validate_disconnect(self, account: Any, accounts: Any) -> None:
        """Nobody locks themselves out."""
        if len(accounts) == 1 and not account.user.has_usable_password():
            raise self.validation_error("no_password")


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """The one that REQUIRE_OPERATOR_2FA asks for stays."""
        needed = authenticator.type == Authenticator.Type.TOTP and is_operator(authenticator.user)
        return not (needed and settings.REQUIRE_OPERATOR_2FA)

    def encrypt(self, text: str) -> str:
        return crypto.encrypt(text, settings.ENCRYPTION_KEYS)

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.decrypt(encrypted_text, settings.ENCRYPTION_KEYS)


def join(request: HttpRequest, user: User, *, by_password: bool) -> User:
    """Raises ImmediateHttpResponse, with the page that says why, for whoever may not."""
    digest = request.session.get(INVITATION, "")
    try:
        joining.join(
            user=user,
            digest=digest,
            by_password=by_password,
            address=request.META.get("REMOTE_ADDR") or "",
        )
    except GatewayError as exc:
        raise ImmediateHttpResponse(closed(request, exc.message)) from exc
    except IntegrityError as exc:
        words = "Somebody took this name a moment ago: choose another."
        raise ImmediateHttpResponse(closed(request, words, status=409)) from exc
    request.session.pop(INVITATION, None)
    return user


def closed(request: HttpRequest, words: str, *, status: int = 403) -> Any:
    facts = {"words": words, "invited": INVITATION in request.session}
    return render(request, "account/signup_closed.html", facts, status=status)


def refusal(request: HttpRequest) -> HttpResponse:
    """The page for somebody who may not sign up, before they have filled in anything."""
    words = joining.CLOSED
    if settings.SIGN_UP == "invite":
        words = joining.SPENT if INVITATION in request.session else joining.UNINVITED
    facts = {"words": words, "may_have_code": settings.SIGN_UP == "invite"}
    return render(request, "account/signup_closed.html", facts, status=403)


def invite(request: HttpRequest, code: str) -> None:
    """The visitor brought this code: from now on their session holds what it takes."""
    request.session[INVITATION] = invitations.digest_of(code)


__all__ = ["AccountAdapter", "FactorAdapter", "SocialAdapter", "closed", "invite", "refusal"]
