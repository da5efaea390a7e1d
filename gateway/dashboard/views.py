"""Pages that read several apps."""

from __future__ import annotations

import time
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apiproxy import runtime
from apiproxy.selectors import listed_models
from apiproxy.selectors.prices import public_prices
from apiproxy.selftest import journal
from apiproxy.selftest.run import run
from gateway.dashboard import jobs as shown
from gateway.dashboard import jobs_api, selectors
from gateway.lib.access import operators_only, stewards_only
from gateway.lib.errors import Conflict


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """What this site offers; its addresses are those the visitor came by."""
    site = request.build_absolute_uri("/")[:-1]
    return render(request, "dashboard/landing.html", {"site": site, "models": listed_models()})


@require_safe
def prices(request: HttpRequest) -> HttpResponse:
    """What calls cost everybody."""
    return render(request, "dashboard/prices.html", {"prices": public_prices()})


@require_safe
@never_cache
@operators_only
def system(request: HttpRequest) -> HttpResponse:
    return render(request, "dashboard/system.html", selectors.system())


@require_http_methods(["GET", "POST"])
@operators_only
async def run_selftest(request: HttpRequest) -> HttpResponse:
    """The answer waits, the process does not: the cases are calls among others, and take about six seconds."""
    if request.method == "GET":
        # Whoever had to sign in first comes back by this way.
        return redirect("dashboard:system")
    started = time.perf_counter()
    results = await run(await runtime.current())
    duration_ms = int((time.perf_counter() - started) * 1000)
    await sync_to_async(journal.keep)(results=results, duration_ms=duration_ms)
    return redirect("dashboard:system")


@require_safe
@never_cache
@stewards_only
def jobs(request: HttpRequest) -> HttpResponse:
    """The newest batch jobs, page by page, below the upkeep."""
    rows = Paginator(shown.batch_jobs(request.user), shown.A_PAGE)
    page = rows.get_page(request.GET.get("page"))
    facts = {"upkeep": shown.upkeep(request.user), "page": page, "batch": shown.told(page)}
    return render(request, "dashboard/jobs.html", facts)


@require_POST
@stewards_only
def cancel_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    job = get_object_or_404(shown.visible_to(request.user), pk=job_id)
    try:
        job = jobs_api.cancel(request, job)
    except Conflict as exc:
        messages.error(request, exc.message)
    else:
        ended = "is cancelled" if job.finished_at else "stops at its next step"
        messages.success(request, f"{job} {ended}.")
    return redirect("dashboard:jobs")
