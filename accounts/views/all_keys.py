"""/api-key-admin: every key, for operators; new ones, one by one and by the batch; and what can be done to them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import audited, links, services, shown, standing
from accounts.filters import STATES, filter_of, meant_by
from accounts.forms.keys import (
    BatchForm,
    EditKeyForm,
    GiveForm,
    IssueKeyForm,
    ManyKeysForm,
    RotateForm,
    initial_of_template,
)
from accounts.handing_out import handed_out, handed_out_csv
from accounts.models import ApiKey, Group, KeyTemplate
from accounts.services import switching
from accounts.sites import site_of
from accounts.views.my_keys import shared, shown_once
from gateway.lib import credits
from gateway.lib.access import operators_only
from gateway.lib.errors import GatewayError
from gateway.lib.tables import csv_response

_A_PAGE = 50
_LIST = "accounts:all_keys"


@require_safe
@never_cache
@operators_only
def all_keys(request: HttpRequest) -> HttpResponse:
    query = filter_of(request.GET)
    try:
        meant = meant_by(query)
    except ValidationError as exc:
        messages.error(request, " ".join(exc.messages))
        return redirect(_LIST)
    return _listed(request, query, meant)


@require_safe
@never_cache
@operators_only
def export(request: HttpRequest) -> HttpResponseBase:
    """The list that the filter means, as CSV."""
    try:
        meant = meant_by(filter_of(request.GET))
    except ValidationError as exc:
        messages.error(request, " ".join(exc.messages))
        return redirect(_LIST)
    return csv_response(request, "keys.csv", shown.COLUMNS, shown.lines_of(meant))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@operators_only
def issue(request: HttpRequest) -> HttpResponse:
    template = _template(request)
    form = IssueKeyForm(request.POST or None, initial=initial_of_template(template))
    if not form.is_valid():
        return _new(request, "accounts/key_new.html", form, template)
    try:
        with transaction.atomic():
            key, secret = services.issue_key(**form.terms(), actor=request.user.get_username())
            audited.issued(request, key)
    except (ValidationError, GatewayError) as exc:
        _tell(form, exc)
        return _new(request, "accounts/key_new.html", form, template)
    return shown_once(request, key, secret, back=_LIST)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@operators_only
def batch(request: HttpRequest) -> HttpResponseBase:
    template = _template(request)
    form = BatchForm(request.POST or None, initial=initial_of_template(template))
    if not form.is_valid():
        return _new(request, "accounts/key_batch.html", form, template)
    asked = form.cleaned_data
    claimable = asked["hand_out"] == "claim_links"
    try:
        with transaction.atomic():
            made = services.issue_batch(
                count=asked["count"],
                claim_days=asked["claim_days"] if claimable else None,
                actor=request.user.get_username(),
                **form.terms(),
            )
            audited.batch_issued(request, made)
    except (ValidationError, GatewayError) as exc:
        _tell(form, exc)
        return _new(request, "accounts/key_batch.html", form, template)
    site = site_of(request)
    if not claimable:
        return handed_out_csv(request, made, site)
    facts = {
        "made": [handed_out(one, site) for one in made],
        "until": made[0].until,
    }
    return render(request, "accounts/key_links.html", facts)


@require_POST
@never_cache
@operators_only
def many(request: HttpRequest) -> HttpResponse:
    """First how many it would be, then, when that is confirmed and still as many, it is done."""
    query = filter_of(QueryDict(request.POST.get("query", "")))
    form = ManyKeysForm(request.POST)
    try:
        ids = _chosen(request, query)
    except ValidationError as exc:
        messages.error(request, " ".join(exc.messages))
        return redirect(_LIST)
    if not ids:
        messages.error(request, "Nothing is chosen.")
        return _back(query)
    if not form.is_valid():
        said = [
            f"{form[name].label}: {error}" for name, all_ in form.errors.items() for error in all_
        ]
        messages.error(request, " ".join(said))
        return _back(query)
    asked = form.cleaned_data
    if request.POST.get("confirmed") != str(len(ids)):
        facts = {
            "count": len(ids),
            "words": switching.ACTIONS[asked["action"]],
            "asked": asked,
            "amount": credits.to_text(asked["amount_micros"] or 0),
            "ids": request.POST.getlist("id") if request.POST.get("scope") != "all" else [],
            "scope": request.POST.get("scope", "chosen"),
            "query": query.urlencode(),
            "changed_since": bool(request.POST.get("confirmed")),
        }
        return render(request, "accounts/key_many.html", facts)
    try:
        with transaction.atomic():
            changed = services.change_many(
                action=asked["action"],
                key_ids=ids,
                amount_micros=asked["amount_micros"] or 0,
                reason=asked["reason"],
                group=asked["group"],
                actor=request.user.get_username(),
            )
            audited.many_changed(request, asked["action"], changed, **_facts(asked))
    except GatewayError as exc:
        messages.error(request, exc.message)
    else:
        tell = messages.success if changed else messages.warning
        tell(
            request,
            f"{switching.ACTIONS[asked['action']]}: {len(changed):,} of {len(ids):,} changed.",
        )
    return _back(query)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@operators_only
def one(request: HttpRequest, public_id: str) -> HttpResponse:
    key = _key(public_id)
    if request.method != "POST":
        return _detail(request, key)
    form = EditKeyForm(request.POST, key=key)
    if not form.is_valid():
        return _detail(request, key, form=form, status=400)
    try:
        with audited.changing(request, "edit", key):
            services.edit_key(
                key=key,
                changes=form.changes(),
                limits=form.changed_limits(),
                actor=request.user.get_username(),
            )
    except (ValidationError, GatewayError) as exc:
        _tell(form, exc)
        return _detail(request, _key(public_id), form=form, status=400)
    messages.success(request, "Saved.")
    return redirect("accounts:key", public_id)


@require_POST
@never_cache
@operators_only
def act(request: HttpRequest, public_id: str, action: str) -> HttpResponse:
    """By a button of its page."""
    key = _key(public_id)
    try:
        answer: HttpResponse | None = ACTIONS[action](request, key)
    except GatewayError as exc:
        messages.error(request, exc.message)
        answer = None
    return answer or redirect("accounts:key", public_id)


def _switch(request: HttpRequest, key: ApiKey, *, is_active: bool) -> None:
    with audited.changing(request, "enable" if is_active else "disable", key):
        services.set_key_active(key=key, is_active=is_active)
    messages.success(request, "It works again." if is_active else "It is switched off.")


def _revoke(request: HttpRequest, key: ApiKey) -> None:
    with audited.changing(request, "revoke", key):
        services.revoke_key(key=key)
    messages.success(request, "It is revoked for good.")


def _delete(request: HttpRequest, key: ApiKey) -> HttpResponse:
    with audited.changing(request, "delete", key):
        services.delete_key(key=key)
    messages.success(request, f"{key} is deleted. What it used stays in the books.")
    return redirect(_LIST)


def _rotate(request: HttpRequest, key: ApiKey) -> HttpResponse | None:
    form = RotateForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say when the old key stops to work.")
        return None
    with audited.changing(request, "rotate", key, **form.cleaned_data):
        key, secret = services.rotate_key(key=key, **form.cleaned_data)
    return shown_once(request, key, secret, back=_LIST)


def _end_overlap(request: HttpRequest, key: ApiKey) -> None:
    with audited.changing(request, "end-overlap", key):
        services.end_overlap(key=key)
    messages.success(request, "Only the newest secret works now.")


def _credits(request: HttpRequest, key: ApiKey) -> HttpResponse | None:
    form = GiveForm(request.POST)
    if not form.is_valid():
        return _detail(request, key, give=form, status=400)
    asked = form.cleaned_data
    with audited.changing(request, "credits", key, reason=asked["reason"]):
        services.give_credits(key=key, actor=request.user.get_username(), **asked)
    words = "granted" if asked["amount_micros"] > 0 else "taken away"
    messages.success(request, f"{credits.to_text(abs(asked['amount_micros']))} credits {words}.")
    return None


def _share(request: HttpRequest, key: ApiKey, *, renew: bool) -> HttpResponse:
    with audited.changing(request, "share", key, renew=renew):
        if renew:
            services.renew_share(key=key)
    return shared(request, key, renewed=renew, back=_LIST)


def _claim_link(request: HttpRequest, key: ApiKey) -> HttpResponse:
    with audited.changing(request, "claim-link", key):
        made = services.renew_claim(key=key)
    facts = {"made": [handed_out(made, site_of(request))], "until": made.until}
    return render(request, "accounts/key_links.html", facts)


ACTIONS: dict[str, Any] = {
    "enable": lambda request, key: _switch(request, key, is_active=True),
    "disable": lambda request, key: _switch(request, key, is_active=False),
    "revoke": _revoke,
    "delete": _delete,
    "rotate": _rotate,
    "end-overlap": _end_overlap,
    "credits": _credits,
    "share": lambda request, key: _share(request, key, renew=False),
    "unshare": lambda request, key: _share(request, key, renew=True),
    "claim-link": _claim_link,
}


def _listed(request: HttpRequest, query: QueryDict, meant: Any) -> HttpResponse:
    now = timezone.now()
    page = Paginator(shown.with_all(meant).order_by("-pk"), _A_PAGE).get_page(
        request.GET.get("page")
    )
    facts = {
        "page": page,
        "rows": [shown.row_of(key, now, standing.own_credit_limits(key, now)) for key in page],
        "query": query.urlencode(),
        "q": query.get("q", ""),
        "group": query.get("group", ""),
        "groups": Group.objects.values_list("name", flat=True),
        "state": query.get("state", ""),
        "states": STATES.items(),
        "filters": [
            (name, query.getlist(name)) for name in query if name not in ("q", "group", "state")
        ],
        "filtered": bool(query),
        "many": ManyKeysForm(),
    }
    return render(request, "accounts/all_keys.html", facts)


def _detail(
    request: HttpRequest,
    key: ApiKey,
    *,
    form: EditKeyForm | None = None,
    give: GiveForm | None = None,
    status: int = 200,
) -> HttpResponse:
    now = timezone.now()
    facts = {
        "row": shown.row_of(key, now, standing.own_credit_limits(key, now)),
        "key": key,
        "form": form or EditKeyForm(key=key),
        "give": give or GiveForm(),
        "rotate": RotateForm(),
        "share_link": links.share_link(key, site_of(request)),
    }
    return render(request, "accounts/key.html", facts, status=status)


def _key(public_id: str) -> ApiKey:
    key: ApiKey = get_object_or_404(shown.with_all(ApiKey.objects.all()), public_id=public_id)
    return key


def _template(request: HttpRequest) -> KeyTemplate | None:
    chosen = request.GET.get("template", "")
    if not (chosen.isascii() and chosen.isdecimal() and len(chosen) <= 18):
        return None
    template = KeyTemplate.objects.select_related("group", "limits").filter(pk=chosen).first()
    if template is None:
        raise Http404("There is no such template.")
    return template


def _new(
    request: HttpRequest, page: str, form: IssueKeyForm, template: KeyTemplate | None
) -> HttpResponse:
    facts = {"form": form, "template": template, "templates": KeyTemplate.objects.all()}
    return render(request, page, facts, status=400 if form.errors else 200)


def _chosen(request: HttpRequest, query: QueryDict) -> list[int]:
    """Raises ValidationError. All that match are meant only where something is filtered."""
    if request.POST.get("scope") == "all":
        if not query:
            raise ValidationError("Search or filter first: without, it would mean every key.")
        return list(meant_by(query).order_by().values_list("pk", flat=True))
    rows = ApiKey.objects.filter(public_id__in=request.POST.getlist("id"), deleted_at=None)
    return list(rows.values_list("pk", flat=True))


def _facts(asked: dict[str, Any]) -> dict[str, Any]:
    """For the audit log."""
    amount, group = asked["amount_micros"], asked["group"]
    return {
        **({"credits": credits.to_text(amount)} if asked["action"] == "grant" else {}),
        **({"group": group.name if group else None} if asked["action"] == "group" else {}),
        **({"reason": asked["reason"]} if asked["reason"] else {}),
    }


def _tell(form: Any, exc: ValidationError | GatewayError) -> None:
    if isinstance(exc, GatewayError):
        form.add_error(None, exc.message)
    else:
        form.add_error(None, exc.messages)


def _back(query: QueryDict) -> HttpResponse:
    answer = redirect(_LIST)
    if query:
        answer["Location"] += f"?{query.urlencode()}"
    return answer
