"""Pages that read several apps."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apiproxy.selectors import listed_models


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """What this site offers; its addresses are those the visitor came by."""
    site = request.build_absolute_uri("/")[:-1]
    return render(request, "dashboard/landing.html", {"site": site, "models": listed_models()})
