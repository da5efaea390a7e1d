"""What people change about the ways they sign in, second factors and passwords, as lines of the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.signals import password_changed, password_reset, password_set
from allauth.mfa.signals import (
    authentication_failed,
    authenticator_added,
    authenticator_removed,
    authenticator_reset,
)
from allauth.socialaccount.signals import social_account_added, social_account_removed
from django.dispatch import Signal
from django.http import HttpRequest

from gateway.lib import audit

_ACTIONS: dict[str, Signal] = {
    "account.factor_added": authenticator_added,
    "account.factor_removed": authenticator_removed,
    "account.factor_reset": authenticator_reset,
    "account.factor_failed": authentication_failed,
    "account.password_set": password_set,
    "account.password_changed": password_changed,
    "account.password_reset": password_reset,
    "account.social_added": social_account_added,
    "account.social_removed": social_account_removed,
}


def follow() -> None:
    for action, signal in _ACTIONS.items():
        signal.connect(_noting(action), weak=False, dispatch_uid=action)


def _noting(action: str) -> Callable[..., None]:
    def note(sender: Any, request: HttpRequest | None = None, **facts: Any) -> None:
        user = facts.get("user") or _owner(facts) or getattr(request, "user", None)
        name = user.get_username() if user is not None else ""
        audit.record(
            actor=name or "nobody",
            action=action,
            subject=f"user {name}" if name else "",
            address=(request.META.get("REMOTE_ADDR") or "") if request is not None else "",
            **_which(facts),
        )

    return note


def _owner(facts: dict[str, Any]) -> Any:
    for name in ("socialaccount", "sociallogin"):
        if facts.get(name) is not None:
            return facts[name].user
    return None


def _which(facts: dict[str, Any]) -> dict[str, str]:
    """Of which kind the factor is, or whose account elsewhere; never what it is."""
    if (factor := facts.get("authenticator")) is not None:
        return {"factor": str(factor.type)}
    if (account := facts.get("socialaccount")) is not None:
        return {"provider": str(account.provider)}
    if (login := facts.get("sociallogin")) is not None:
        return {"provider": str(login.account.provider)}
    return {}
