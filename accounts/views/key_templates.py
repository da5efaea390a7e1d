"""/api-key-admin/templates: what new keys are made after, for operators."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.api import key_templates
from accounts.forms.keys import TemplateForm
from accounts.models import KeyTemplate
from gateway.lib.access import operators_only


@require_safe
@never_cache
@operators_only
def templates(request: HttpRequest) -> HttpResponse:
    rows = KeyTemplate.objects.select_related("group", "limits")
    return render(request, "accounts/key_templates.html", {"templates": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@operators_only
def edit(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """A new one without `pk`."""
    template = _template(pk) if pk is not None else None
    form = TemplateForm(request.POST or None, template=template)
    if form.is_valid():
        try:
            key_templates.save(request, template, form.asked())
        except ValidationError as exc:
            form.add_error(None, exc.messages)
        else:
            messages.success(request, "Saved. Keys that were made before stay as they are.")
            return redirect("accounts:key_templates")
    facts = {"form": form, "template": template}
    status = 400 if form.errors else 200
    return render(request, "accounts/key_template.html", facts, status=status)


@require_POST
@operators_only
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    template = _template(pk)
    key_templates.delete(request, template)
    messages.success(request, f"{template.name} is deleted. Its keys stay.")
    return redirect("accounts:key_templates")


def _template(pk: int) -> KeyTemplate:
    rows = KeyTemplate.objects.select_related("group", "limits")
    template: KeyTemplate = get_object_or_404(rows, pk=pk)
    return template
