"""/account: who one is here, what is left, and how one signs in."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import services, standing
from accounts.forms.people import ProfileForm
from accounts.models import User
from accounts.people_facts import facts_of_user
from gateway.lib import audit
from gateway.lib.access import members_only
from quotas.selectors import terms


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@members_only
def profile(request: HttpRequest) -> HttpResponse:
    user = _person(request)
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=user.pk))
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            before = facts_of_user(user)
            user = services.edit_user(user=user, changes=form.cleaned_data)
            audit.record_change(
                request,
                action="account.edit",
                subject=f"user {user.username}",
                before=before,
                after=facts_of_user(user),
            )
        messages.success(request, "Saved.")
        return redirect("accounts:profile")
    facts = {
        "form": form,
        "person": user,
        "spending": standing.shared_credit_limits(user, timezone.now()),
        "paces": _paces(user),
        "factor": Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists(),
        "social": settings.OIDC_CONFIGURED or settings.GITHUB_CONFIGURED,
    }
    return render(request, "accounts/profile.html", facts)


@require_POST
@never_cache
@members_only
def everywhere(request: HttpRequest) -> HttpResponse:
    """Sign out of every browser, this one too."""
    user = _person(request)
    with transaction.atomic():
        services.end_sessions(user=user)
        audit.record_request(
            request, action="account.signed_out_everywhere", subject=f"user {user.username}"
        )
    logout(request)
    messages.success(request, "You are signed out everywhere.")
    return redirect("account_login")


@require_safe
@never_cache
def admin_login(request: HttpRequest) -> HttpResponse:
    """The administration asks here; signing in is done in one place, so that no second factor is passed by."""
    if request.user.is_authenticated:
        words = f"You are signed in as {request.user.get_username()}, who may not see that page."
        return render(request, "403.html", {"exception": words}, status=403)
    answer = redirect("account_login")
    if query := request.META.get("QUERY_STRING"):
        answer["Location"] += f"?{query}"
    return answer


def _paces(user: User) -> list[tuple[str, int]]:
    """The tighter of what each may and what all of the group may is for the calls to find; here is told what a person may."""
    theirs = user.group.member_limits if user.group else None
    one = terms(f"u{user.pk}", user.balance, user.limits, theirs)
    told = (
        ("requests a minute", one.rpm),
        ("requests a day", one.rpd),
        ("tokens a minute", one.tpm),
        ("calls at the same time", one.concurrency),
    )
    return [(words, limit) for words, limit in told if limit is not None]


def _person(request: Any) -> User:
    rows = User.objects.select_related(
        "balance", "limits", "group__balance", "group__limits", "group__member_limits"
    )
    return rows.get(pk=request.user.pk)
