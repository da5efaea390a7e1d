"""The first operator's way in."""

from __future__ import annotations

from allauth.account.internal.flows.login import record_authentication
from allauth.usersessions.models import UserSession
from django.contrib.auth import login
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts import selectors, services
from accounts.forms.setup import SetupForm
from accounts.selectors import LinkState
from gateway.lib.access import operators_only
from gateway.lib.errors import PermissionDenied


@never_cache
@sensitive_post_parameters("password", "repeat")
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: HttpRequest, token: str) -> HttpResponse:
    state = selectors.setup_link_state(token)
    if state is not LinkState.OPEN:
        return _explain(request, state)
    form = SetupForm(request.POST or None)
    if form.is_valid():
        try:
            user = services.use_setup_token(
                token=token,
                username=form.cleaned_data["username"],
                password=form.cleaned_data["password"],
            )
        except PermissionDenied:  # somebody was faster
            return _explain(request, selectors.setup_link_state(token))
        except ValidationError as exc:
            form.add_error(None, exc)
        else:
            login(request, user)
            # Setting up a second factor asks whether this was a moment ago.
            record_authentication(request, user, method="password", username=user.username)
            UserSession.objects.create_from_request(request)
            return redirect("accounts:welcome")
    return render(request, "accounts/setup.html", {"form": form})


def _explain(request: HttpRequest, state: LinkState) -> HttpResponse:
    status = 404 if state is LinkState.UNKNOWN else 410
    return render(request, "accounts/setup_closed.html", {"state": state}, status=status)


@require_safe
@operators_only
def welcome(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/welcome.html", {"site": request.build_absolute_uri("/")[:-1]})
