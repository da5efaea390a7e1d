"""Signing up. A link with an invitation leaves its code in the session, so that it stays in no address bar and reaches no other site."""

from __future__ import annotations

from typing import Any

from allauth.account.views import SignupView
from allauth.socialaccount.views import SignupView as SocialSignupView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache

from accounts import adapter
from accounts.services import invitations


@never_cache
def sign_up(request: HttpRequest) -> HttpResponseBase:
    """`?invite=CODE` begins with it; a code can also be typed where one is asked for."""
    code = request.GET.get("invite") or request.POST.get("invite")
    if code is not None and "username" not in request.POST:
        adapter.invite(request, code[:200])
        return redirect("account_signup")
    page: HttpResponseBase = _SignUp.as_view()(request)
    return page


def social_sign_up(request: HttpRequest) -> HttpResponseBase:
    page: HttpResponseBase = _SocialSignUp.as_view()(request)
    return page


class _Explained:
    """When the door is shut: why."""

    request: HttpRequest

    def closed(self) -> HttpResponse:
        return adapter.refusal(self.request)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        facts: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]
        facts["invitation"] = invitations.find(self.request.session.get(adapter.INVITATION, ""))
        return facts


class _SignUp(_Explained, SignupView):  # type: ignore[misc]
    pass


class _SocialSignUp(_Explained, SocialSignupView):  # type: ignore[misc]
    pass
