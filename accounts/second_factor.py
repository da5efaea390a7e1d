"""REQUIRE_OPERATOR_2FA: an operator who is signed in without a second factor is led to set one up, and reaches nothing else.

It looks at sessions. Tokens of the API are looked at where they are read: one may be older than the setting, or than its owner's role.
The panel password has no factor to set up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from allauth.mfa.models import Authenticator
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.decorators import sync_and_async_middleware

from gateway.lib.access import is_operator
from gateway.lib.errors import PermissionDenied

WORDS = "Set up your second factor first: this site asks operators for one."
CODE = "second_factor_required"


class FactorRequired(PermissionDenied):
    """Somebody came by a token who would be led to the set-up on a page."""

    code = CODE


# What it takes to set it up, and to leave.
_OPEN = ("/account/2fa/", "/account/reauthenticate", "/account/logout", "/sign-out", "/static/")
# Where programs ask: they cannot be led anywhere.
_PROGRAMS = ("/api/", "/auth/", "/creds/", "/config/", "/usage/")


@sync_and_async_middleware
def SecondFactorMiddleware(get_response: Callable[[HttpRequest], Any]) -> Callable[..., Any]:  # noqa: N802
    if not settings.REQUIRE_OPERATOR_2FA:
        raise MiddlewareNotUsed
    if iscoroutinefunction(get_response):
        answer: Callable[[HttpRequest], Awaitable[HttpResponse]] = get_response

        async def async_middleware(request: HttpRequest) -> HttpResponse:
            if not request.path.startswith(_OPEN):
                user = await request.auser()
                if await sync_to_async(lacks_factor)(user):
                    return turned_away(request)
            return await answer(request)

        return async_middleware

    def middleware(request: HttpRequest) -> Any:
        if not request.path.startswith(_OPEN) and lacks_factor(request.user):
            return turned_away(request)
        return get_response(request)

    return middleware


def lacks_factor(user: Any) -> bool:
    """Of an operator, while the setting asks for one. Recovery codes alone are none."""
    if not settings.REQUIRE_OPERATOR_2FA or not is_operator(user):
        return False
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return not Authenticator.objects.filter(user_id=user.pk, type__in=kinds).exists()


def turned_away(request: HttpRequest) -> HttpResponse:
    page = request.method in ("GET", "HEAD") and not request.path.startswith(_PROGRAMS)
    if page:
        return redirect("mfa_activate_totp")
    return JsonResponse({"detail": WORDS, "code": CODE}, status=403)
