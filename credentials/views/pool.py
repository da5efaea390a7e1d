"""The pool for operators and stewards: what to do now, every credential, and what can be done to it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from credentials import services
from credentials.filters import ORDERS, meant_by
from credentials.forms.pool import BulkForm, EditForm
from credentials.forms.private import LimitsForm
from credentials.models import Credential
from credentials.selectors.census import census
from credentials.selectors.rows import described, detail, told
from credentials.services import actions, bulk
from gateway.lib import audit
from gateway.lib.access import stewards_only
from gateway.lib.errors import GatewayError

_A_PAGE = 50
_HISTORY = 50
_NOT_SAVED = "Nothing is saved yet: see the words in red below."
_NO_FILTERS = ("page", "q", "ordering")


@require_safe
@never_cache
@stewards_only
def pool(request: HttpRequest) -> HttpResponse:
    query = _filter_of(request.GET)
    try:
        rows = meant_by(query).select_related("contributor")
    except ValidationError as exc:
        messages.error(request, " ".join(exc.messages))
        return redirect("credentials:pool")
    page = Paginator(rows, _A_PAGE).get_page(request.GET.get("page"))
    facts = {
        "census": census(),
        "page": page,
        "rows": described(page.object_list),
        "query": query.urlencode(),
        "q": query.get("q", ""),
        "ordering": query.get("ordering", "attention"),
        "orders": ORDERS.items(),
        "filters": [(name, query.getlist(name)) for name in query if name not in _NO_FILTERS],
        "bulk": BulkForm(),
    }
    return render(request, "credentials/pool.html", facts)


@require_safe
@never_cache
@stewards_only
def one(request: HttpRequest, credential_id: int) -> HttpResponse:
    credential = _row(credential_id)
    return _detail(request, credential, EditForm(credential=credential))


@require_POST
@sensitive_post_parameters("proxy")
@stewards_only
def edit(request: HttpRequest, credential_id: int) -> HttpResponse:
    credential = _row(credential_id)
    form = EditForm(request.POST, credential=credential)
    if form.is_valid():
        changes = form.changes()
        try:
            with transaction.atomic():
                services.edit(
                    credential_id=credential.pk,
                    changes=changes,
                    by=request.user.get_username(),
                    version=form.cleaned_data["version"],
                )
                _audit(request, "edit", credential, fields=sorted(changes))
        except GatewayError as exc:
            form.add_error(None, exc.message)
        else:
            messages.success(request, "Saved.")
            return redirect("credentials:credential", credential.pk)
    messages.error(request, _NOT_SAVED)
    return _detail(request, credential, form, status=400)


@require_POST
@stewards_only
def limits(request: HttpRequest, credential_id: int) -> HttpResponse:
    credential = _row(credential_id)
    form = LimitsForm(request.POST, credential=credential)
    if not form.is_valid():
        messages.error(request, _NOT_SAVED)
        return _detail(request, credential, EditForm(credential=credential), form, status=400)
    try:
        with transaction.atomic():
            services.set_limits(
                credential_id=credential.pk, limits=form.limits(), by=request.user.get_username()
            )
            _audit(request, "edit", credential, fields=["caps"])
        messages.success(request, "The limits are saved.")
    except GatewayError as exc:
        messages.error(request, exc.message)
    return redirect("credentials:credential", credential.pk)


@require_POST
@stewards_only
def act(request: HttpRequest, credential_id: int, action: str) -> HttpResponse:
    """One of `actions.ACTIONS`, by a button."""
    if action not in actions.ACTIONS:
        raise Http404
    credential = _row(credential_id)
    asked = actions.Asked(
        credential,
        request.user.get_username(),
        project=request.POST.get("project", "").strip()[:100],
        revoke=request.POST.get("revoke") == "yes",
    )
    try:
        outcome = actions.perform(action, asked)
        _audit(request, action, credential, done=outcome.done)
    except GatewayError as exc:
        messages.error(request, exc.message)
    else:
        tell = messages.success if outcome.done else messages.warning
        tell(request, outcome.words)
    return redirect("credentials:credential", credential.pk)


@require_POST
@stewards_only
def bulk_action(request: HttpRequest) -> HttpResponse:
    """First what it would be, then, when that is confirmed and still as many, a job."""
    query = QueryDict(request.POST.get("query", ""))
    form = BulkForm(request.POST)
    try:
        ids = _chosen(request, query)
    except ValidationError as exc:
        messages.error(request, " ".join(exc.messages))
        return redirect("credentials:pool")
    if not form.is_valid() or not ids:
        why = " ".join(str(error) for errors in form.errors.values() for error in errors)
        messages.error(request, why or "Choose credentials first, or all that match.")
        return redirect(_back(query))
    name, params = form.cleaned_data["action"], form.params()
    if request.POST.get("confirmed") != str(len(ids)):
        facts = {
            "count": len(ids),
            "changed": bool(request.POST.get("confirmed")),
            "title": bulk.ACTIONS[name].title,
            "action": name,
            "params": params,
            "query": query.urlencode(),
            "scope": request.POST.get("scope", ""),
            "ids": ids if request.POST.get("scope") != "all" else [],
        }
        return render(request, "credentials/pool_bulk.html", facts)
    with transaction.atomic():
        job = bulk.begin(
            action=name, credential_ids=ids, params=params, by=request.user.get_username()
        )
        audit.record_request(
            request,
            action="credentials.bulk",
            subject=f"job {job.pk}",
            does=name,
            count=len(ids),
            filter=query.urlencode() if request.POST.get("scope") == "all" else None,
            params=params,
        )
    messages.success(request, f"{job.title}: it goes on in the background.")
    return redirect(f"{reverse('dashboard:jobs')}#job-{job.pk}")


def _chosen(request: HttpRequest, query: QueryDict) -> list[int]:
    if request.POST.get("scope") == "all":
        rows = meant_by(query)
    else:
        ids = [pk for pk in request.POST.getlist("id") if pk.isdecimal() and len(pk) < 19]
        rows = Credential.objects.filter(pk__in=ids)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def _filter_of(given: QueryDict) -> QueryDict:
    """Without the page and what was left empty."""
    query = given.copy()
    query.pop("page", None)
    for name in [name for name in query if not any(query.getlist(name))]:
        del query[name]
    return query


def _back(query: QueryDict) -> str:
    return f"{reverse('credentials:pool')}?{query.urlencode()}"


def _row(credential_id: int) -> Credential:
    return get_object_or_404(Credential.objects.select_related("contributor"), pk=credential_id)


def _detail(
    request: HttpRequest,
    credential: Credential,
    form: EditForm,
    limits_form: LimitsForm | None = None,
    status: int = 200,
) -> HttpResponse:
    facts: dict[str, Any] = {
        **detail(credential),
        "form": form,
        "limits_form": limits_form or LimitsForm(credential=credential),
        "history": told(credential.state_changes.all()[:_HISTORY]),
        "same_login": urlencode({"q": credential.email}) if credential.email else "",
    }
    return render(request, "credentials/credential.html", facts, status=status)


def _audit(request: HttpRequest, name: str, credential: Credential, **detail: Any) -> None:
    audit.record_request(
        request, action=f"credentials.{name}", subject=f"credential {credential.pk}", **detail
    )
