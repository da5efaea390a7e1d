"""/keys: what a person has, and what they may do with it themselves."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import audited, links, services, shown, standing
from accounts.forms.keys import NameForm, OwnKeyForm, RotateForm
from accounts.models import ApiKey, User
from accounts.sites import site_of
from gateway.lib.access import members_only
from gateway.lib.errors import GatewayError

_A_PAGE = 20


@require_safe
@never_cache
@members_only
def my_keys(request: HttpRequest) -> HttpResponse:
    return _listed(request)


@require_POST
@never_cache
@members_only
def make(request: HttpRequest) -> HttpResponse:
    form = OwnKeyForm(request.POST)
    if not form.is_valid():
        return _listed(request, form=form, status=400)
    try:
        with transaction.atomic():
            key, secret = services.make_own_key(user=_person(request), **form.terms())
            audited.issued(request, key, by_owner=True)
    except ValidationError as exc:
        form.add_error(None, exc)
        return _listed(request, form=form, status=400)
    except GatewayError as exc:
        form.add_error(None, exc.message)
        return _listed(request, form=form, status=exc.status)
    return shown_once(request, key, secret, back="accounts:my_keys")


@require_POST
@never_cache
@members_only
def act(request: HttpRequest, public_id: str, action: str) -> HttpResponse:
    """By a button: rename, rotate, off, on, delete, share or unshare."""
    key = own_key(request, public_id)
    try:
        answer: HttpResponse = ACTIONS[action](request, key)
        return answer
    except GatewayError as exc:
        messages.error(request, exc.message)
    return redirect("accounts:my_keys")


def own_key(request: HttpRequest, public_id: str) -> ApiKey:
    """Http404 when there is none, or it is somebody else's."""
    rows = ApiKey.objects.filter(owner_id=request.user.pk, deleted_at=None)
    key = rows.select_related("balance", "limits").filter(public_id=public_id).first()
    if key is None:
        raise Http404("There is no such key.")
    return key


def shown_once(request: HttpRequest, key: ApiKey, secret: str, *, back: str) -> HttpResponse:
    """The answer to the form itself: the key passes through no session, cookie or address."""
    facts = {
        "key": key,
        "secret": secret,
        "site": site_of(request),
        "back": back,
        "share_link": links.share_link(key, site_of(request)),
    }
    return render(request, "accounts/key_once.html", facts)


def _rename(request: HttpRequest, key: ApiKey) -> HttpResponse:
    form = NameForm(request.POST)
    if not form.is_valid():
        messages.error(request, "A name has at most 200 characters.")
        return redirect("accounts:my_keys")
    with audited.changing(request, "rename", key):
        services.edit_key(key=key, changes=form.cleaned_data)
    messages.success(request, "Renamed.")
    return redirect("accounts:my_keys")


def _rotate(request: HttpRequest, key: ApiKey) -> HttpResponse:
    form = RotateForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say when the old key stops to work.")
        return redirect("accounts:my_keys")
    with audited.changing(request, "rotate", key, **form.cleaned_data):
        key, secret = services.rotate_key(key=key, **form.cleaned_data)
    return shown_once(request, key, secret, back="accounts:my_keys")


def _switch(request: HttpRequest, key: ApiKey, *, is_active: bool) -> HttpResponse:
    with audited.changing(request, "enable" if is_active else "disable", key):
        services.set_key_active(key=key, is_active=is_active, by_owner=True)
    messages.success(request, "It works again." if is_active else "It is switched off.")
    return redirect("accounts:my_keys")


def _delete(request: HttpRequest, key: ApiKey) -> HttpResponse:
    with audited.changing(request, "delete", key):
        services.delete_key(key=key)
    messages.success(request, f"{key} is deleted.")
    return redirect("accounts:my_keys")


def _share(request: HttpRequest, key: ApiKey, *, renew: bool) -> HttpResponse:
    with audited.changing(request, "share", key, renew=renew):
        if renew:
            services.renew_share(key=key)
    return shared(request, key, renewed=renew, back="accounts:my_keys")


def shared(request: HttpRequest, key: ApiKey, *, renewed: bool, back: str) -> HttpResponse:
    link = links.share_link(key, site_of(request))
    facts = {"key": key, "link": link, "renewed": renewed, "back": back}
    return render(request, "accounts/key_share.html", facts)


ACTIONS: dict[str, Any] = {
    "rename": _rename,
    "rotate": _rotate,
    "off": lambda request, key: _switch(request, key, is_active=False),
    "on": lambda request, key: _switch(request, key, is_active=True),
    "delete": _delete,
    "share": lambda request, key: _share(request, key, renew=False),
    "unshare": lambda request, key: _share(request, key, renew=True),
}


def _listed(
    request: HttpRequest, *, form: OwnKeyForm | None = None, status: int = 200
) -> HttpResponse:
    person = _person(request)
    now = timezone.now()
    own = shown.with_all(ApiKey.objects.filter(owner=person, deleted_at=None)).order_by("-pk")
    page = Paginator(own, _A_PAGE).get_page(request.GET.get("page"))
    facts = {
        "page": page,
        "rows": [shown.row_of(key, now, standing.own_credit_limits(key, now)) for key in page],
        "shared": standing.shared_credit_limits(person, now),
        "keys_left": services.own_keys_left(person),
        "form": form or OwnKeyForm(),
        "rotate": RotateForm(),
    }
    return render(request, "accounts/my_keys.html", facts, status=status)


def _person(request: HttpRequest) -> User:
    """With what their keys may spend together."""
    rows = User.objects.select_related(
        "balance", "limits", "group__balance", "group__limits", "group__member_limits"
    )
    return rows.get(pk=request.user.pk or 0)
