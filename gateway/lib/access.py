"""Who may do what, judged by the role alone, so that an app need not know the one that keeps the people.

An operator may do everything. A steward manages lent credentials and never reads a secret.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

ONLY_OPERATORS = "Only operators may do this."
ONLY_STEWARDS = "Only operators and stewards may do this."
ONLY_MEMBERS = "Only people with an account may do this."

_STEWARDS = frozenset({"operator", "steward"})

_View = Callable[..., Any]


def is_operator(user: object) -> bool:
    return _role(user) == "operator"


def is_steward(user: object) -> bool:
    """An operator may do all that a steward may."""
    return _role(user) in _STEWARDS


def _role(user: object) -> str:
    """Nobody's is empty, and that of an account that was switched off too."""
    return str(getattr(user, "role", "")) if getattr(user, "is_active", False) else ""


class IsSteward(BasePermission):
    message = ONLY_STEWARDS

    def has_permission(self, request: Request, view: object) -> bool:
        return is_steward(request.user)


class IsOperator(BasePermission):
    """An operator's session, or the panel password."""

    message = ONLY_OPERATORS

    def has_permission(self, request: Request, view: object) -> bool:
        return is_operator(request.user)


class IsSignedIn(BasePermission):
    """Whoever has an account here, and the panel password."""

    message = "Sign in for this."

    def has_permission(self, request: Request, view: object) -> bool:
        return bool(request.user.is_authenticated and request.user.is_active)


def operators_only(view: _View) -> _View:
    """A page for operators: strangers are sent to sign in, other people are told so in words."""
    return _page_for(is_operator, ONLY_OPERATORS, view)


def stewards_only(view: _View) -> _View:
    """The same for operators and stewards."""
    return _page_for(is_steward, ONLY_STEWARDS, view)


def members_only(view: _View) -> _View:
    """The same for everybody who is signed in."""
    return _page_for(lambda user: bool(_role(user)), ONLY_MEMBERS, view)


def _page_for(may: Callable[[object], bool], refusal: str, view: _View) -> _View:
    def turned_away(request: HttpRequest, user: Any) -> HttpResponse | None:
        if may(user):
            return None
        if user.is_authenticated:
            # Not PermissionDenied: Django logs that with a traceback, and nothing is wrong here.
            return render(request, "403.html", {"exception": refusal}, status=403)
        return redirect_to_login(request.get_full_path(), resolve_url(settings.LOGIN_URL))

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return turned_away(request, request.user) or view(request, *args, **kwargs)

    @wraps(view)
    async def async_page(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        user = await request.auser()
        request.user = user  # the page reads it, and may not ask the database here
        # A refusal is a page, and pages read the database.
        refusal = await sync_to_async(turned_away)(request, user)
        return refusal or await view(request, *args, **kwargs)

    return async_page if iscoroutinefunction(view) else page
