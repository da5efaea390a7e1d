"""/users: the people, their groups and their invitations, for operators."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import people_acts as acts
from accounts.api.people_serializers import state_of
from accounts.api.users import UserFilter
from accounts.forms.people import GroupForm, InvitationForm, PersonForm
from accounts.models import Invitation, User
from gateway.lib.access import operators_only
from gateway.lib.errors import GatewayError

_A_PAGE = 50


@require_safe
@never_cache
@operators_only
def people(request: HttpRequest) -> HttpResponse:
    return _listed(request)


@require_POST
@never_cache
@operators_only
def invite(request: HttpRequest) -> HttpResponse:
    """The link is in the answer to the form, and nowhere else."""
    form = InvitationForm(request.POST)
    if form.is_valid():
        try:
            (made,) = acts.invite(request, form.asked())
        except GatewayError as exc:
            form.add_error(None, exc.message)
        else:
            link = acts.link_of(request, made.code)
            facts = {"title": "Invitation", "link": link, "what": _about(made.row)}
            return render(request, "accounts/people_link.html", facts)
    return _listed(request, invitation_form=form, status=400)


@require_POST
@never_cache
@operators_only
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        acts.revoke(request, get_object_or_404(Invitation, pk=pk))
        messages.success(request, "The invitation works no more.")
    except GatewayError as exc:
        messages.error(request, exc.message)
    return redirect("accounts:people")


@require_POST
@never_cache
@operators_only
def make_group(request: HttpRequest) -> HttpResponse:
    form = GroupForm(request.POST)
    if not form.is_valid():
        return _listed(request, group_form=form, status=400)
    acts.save_group(request, None, form.asked())
    messages.success(request, f"The group {form.cleaned_data['name']} is made.")
    return redirect("accounts:people")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@operators_only
def person(request: HttpRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(acts.people(), pk=pk)
    begin = {"role": user.role, "group": user.group, "is_active": user.is_active}
    form = PersonForm(request.POST or None, initial=begin)
    if request.method == "POST" and form.is_valid():
        try:
            acts.edit_user(request, user, form.cleaned_data)
        except GatewayError as exc:
            form.add_error(None, exc.message)
        except ValidationError as exc:
            form.add_error(None, exc)
        else:
            messages.success(request, "Saved.")
            return redirect("accounts:person", pk=pk)
    facts = {"form": form, "person": user}
    return render(request, "accounts/person.html", facts, status=400 if form.errors else 200)


@require_POST
@never_cache
@operators_only
def act(request: HttpRequest, pk: int, action: str) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    try:
        if action == "password-link":
            facts = {
                "title": f"New password for {user.username}",
                "link": acts.password_link(request, user),
                "what": "It sets a new password, once, within a day. A second factor stays as it is.",
            }
            return render(request, "accounts/people_link.html", facts)
        if action == "end-sessions":
            acts.end_sessions(request, user)
            messages.success(request, f"{user.username} is signed out everywhere.")
        else:
            acts.reset_factor(request, user)
            messages.success(request, f"The second factor of {user.username} is removed.")
    except GatewayError as exc:
        messages.error(request, exc.message)
    if user == request.user:
        return redirect("account_login")
    return redirect("accounts:person", pk=pk)


ACTIONS = ("password-link", "end-sessions", "reset-factor")


def _listed(
    request: HttpRequest,
    *,
    invitation_form: InvitationForm | None = None,
    group_form: GroupForm | None = None,
    status: int = 200,
) -> HttpResponse:
    found = UserFilter(request.GET, queryset=acts.people().order_by("-pk"))
    rows: Any = found.qs if found.is_valid() else acts.people().none()
    page = Paginator(rows, _A_PAGE).get_page(request.GET.get("page"))
    invitations = Invitation.objects.select_related("group")[:_A_PAGE]
    groups = list(acts.all_groups())
    facts = {
        "page": page,
        "q": request.GET.get("q", ""),
        "groups": groups,
        "everybody_joins": any(group.is_default for group in groups),
        "invitations": [(row, state_of(row)) for row in invitations],
        "invitation_form": invitation_form or InvitationForm(),
        "group_form": group_form or GroupForm(),
    }
    return render(request, "accounts/people.html", facts, status=status)


def _about(row: Invitation) -> str:
    times = "once" if row.max_uses == 1 else f"{row.max_uses} times"
    until = f", until {row.expires_at:%Y-%m-%d %H:%M} UTC" if row.expires_at else ""
    return f"It works {times}{until}, and makes a {row.get_role_display().lower()}."
