"""Pages of import and export: files go in with a preview, and leave by operators' hands."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from credentials import uploads
from credentials.downloads import sent
from credentials.exporters import FORMATS
from credentials.filters import meant_by
from credentials.models import Contributor, Credential, Import
from credentials.services import Outcome, exporting, intake
from credentials.states import State
from gateway.lib.access import operators_only, stewards_only
from gateway.lib.errors import GatewayError, InvalidRequest

_PAGE = 50
_RECENT = 10
_OUTCOMES = {
    Outcome.NEW: "new",
    Outcome.UPDATED: "brought up to date",
    Outcome.DUPLICATE: "here already",
    Outcome.UNUSABLE: "unusable",
}


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_post_parameters()
@stewards_only
def begin(request: HttpRequest) -> HttpResponse:
    """The token is checked a little later than elsewhere: by then it must be settled where the files go."""
    uploads.keep_in_memory(request)
    try:
        uploads.check_said_size(request)
        answer: HttpResponse = _begin(request)
    except GatewayError as exc:
        return _form(request, error=exc.message, status=exc.status)
    return answer


@csrf_protect
def _begin(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _form(request)
    batch = intake.begin(
        files=uploads.received(request.FILES, request.POST.get("text", "")),
        actor=request.user.get_username(),
        contributor=_contributor(request.POST.get("contributor", "")),
        tags=intake.tags_of(request.POST.get("tags", "")),
        password=request.POST.get("password", ""),
    )
    return redirect("credentials:import", batch.pk)


def _form(request: HttpRequest, *, error: str = "", status: int = 200) -> HttpResponse:
    facts = {
        "error": error,
        "limit_mib": uploads.limit_mib(),
        "recent": Import.objects.all()[:_RECENT],
        "contributors": Contributor.objects.exclude(name="").order_by("name")[:200],
    }
    return render(request, "credentials/import_begin.html", facts, status=status)


def _contributor(pk: str) -> Contributor | None:
    if not pk:
        return None
    found = Contributor.objects.filter(pk=pk).first() if pk.isdecimal() else None
    if found is None:
        raise InvalidRequest("There is no such contributor.")
    return found


@require_safe
@never_cache
@stewards_only
def detail(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """The preview, then how far it is, then what became of it: one page, as it is one import."""
    batch = get_object_or_404(Import.objects.select_related("job", "contributor"), pk=import_id)
    rows = batch.items.all()
    outcome = request.GET.get("outcome", "")
    if outcome in set(Outcome):
        rows = rows.filter(outcome=outcome)
    page = Paginator(rows, _PAGE).get_page(request.GET.get("page"))
    facts = {
        "batch": batch,
        "job": batch.job,
        "page": page,
        "items": [(item, _OUTCOMES[Outcome(item.outcome)]) for item in page],
        "outcome": outcome,
        "outcomes": [
            (key.value, words, batch.counts.get(key, 0)) for key, words in _OUTCOMES.items()
        ],
        "usable": batch.counts.get(Outcome.NEW, 0) + batch.counts.get(Outcome.UPDATED, 0),
        "reasons": _reasons(batch),
    }
    return render(request, "credentials/import.html", facts)


def _reasons(batch: Import) -> list[tuple[str, int]]:
    """The commonest, with how often each."""
    unusable = batch.items.filter(outcome=Outcome.UNUSABLE.value)
    counted = unusable.values_list("reason").annotate(count=Count("pk")).order_by("-count")
    return [(reason, count) for reason, count in counted[:20]]


@require_POST
@stewards_only
def confirm(request: HttpRequest, import_id: UUID) -> HttpResponse:
    get_object_or_404(Import, pk=import_id)
    try:
        intake.confirm(
            import_id=import_id,
            actor=request.user.get_username(),
            address=request.META.get("REMOTE_ADDR") or "",
            test="test" in request.POST,
        )
    except GatewayError as exc:
        messages.error(request, exc.message)
    return redirect("credentials:import", import_id)


@require_POST
@stewards_only
def cancel(request: HttpRequest, import_id: UUID) -> HttpResponse:
    get_object_or_404(Import, pk=import_id)
    batch = intake.cancel(
        import_id=import_id,
        actor=request.user.get_username(),
        address=request.META.get("REMOTE_ADDR") or "",
    )
    if batch.state == Import.State.CANCELLED:
        messages.success(request, "Cancelled: what was uploaded and not stored is destroyed.")
    return redirect("credentials:import", import_id)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_post_parameters()
@operators_only
def export(request: HttpRequest) -> HttpResponseBase:
    """The filter of the pool's page may stand in the query; without one, all of it is meant."""
    try:
        meant = meant_by(request.GET).exclude(state=State.WITHDRAWN)
    except ValidationError as exc:
        return _export_form(request, [], error=" ".join(exc.messages), status=400)
    ids = list(meant.values_list("pk", flat=True))
    if request.method != "POST":
        return _export_form(request, ids)
    try:
        made = exporting.export(
            credential_ids=ids,
            format=request.POST.get("format", ""),
            actor=request.user.get_username(),
            password=_chosen_password(request),
            address=request.META.get("REMOTE_ADDR") or "",
        )
    except GatewayError as exc:
        return _export_form(request, ids, error=exc.message, status=exc.status)
    return sent(made)


def _chosen_password(request: HttpRequest) -> str:
    if request.POST.get("lock") == "none":
        return ""
    if request.POST.get("lock") == "made":
        return request.POST.get("made_password", "")
    password = request.POST.get("password", "")
    if password != request.POST.get("password_again", ""):
        raise InvalidRequest("The two passwords differ: type them again.")
    return password


def _export_form(
    request: HttpRequest, ids: list[int], *, error: str = "", status: int = 200
) -> HttpResponse:
    facts = {
        "error": error,
        "count": len(ids),
        "of": Credential.objects.exclude(state=State.WITHDRAWN).count(),
        "formats": [(name, shape.TITLE, shape.LOCKED) for name, shape in FORMATS.items()],
        "chosen": request.POST.get("format", "wellspring"),
        "made_password": exporting.new_password(),
        "min_password": exporting.MIN_PASSWORD,
    }
    return render(request, "credentials/export.html", facts, status=status)
