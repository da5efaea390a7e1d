"""The page of the audit log."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from gateway.dashboard import audit
from gateway.lib.access import operators_only

_LARGEST_ID = 2**63 - 1


@require_safe
@never_cache
@operators_only
def audit_log(request: HttpRequest) -> HttpResponse:
    """Filters that mean nothing are shown with what is wrong, and leave everything."""
    form = audit.AuditForm(request.GET)
    asked = (
        {name: value for name, value in form.cleaned_data.items() if value}
        if form.is_valid()
        else {}
    )
    before = _number(request.GET.get("before", ""))
    facts = {
        "form": form,
        "page": audit.page(asked, before),
        "before": before,
        "query": urlencode(asked),
    }
    return render(request, "dashboard/audit.html", facts)


def _number(text: str) -> int:
    return (
        min(int(text), _LARGEST_ID) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    )
