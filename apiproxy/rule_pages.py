"""The page of the rules: the list, a form to add or change one, and what it would have done before it is saved."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from apiproxy import services, trials
from apiproxy.forms import RuleForm
from apiproxy.models import UpstreamError, VerdictRule
from gateway.lib.access import stewards_only
from gateway.lib.audit import record_request
from gateway.lib.errors import Conflict

_NEWEST = 10


@stewards_only
@require_http_methods(["GET", "POST"])
def rules(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Posted once it is tried, posted again with `save` it is kept."""
    row = get_object_or_404(VerdictRule, pk=pk) if pk else None
    form = RuleForm(request.POST or None, instance=row)
    trial = None
    if request.method == "POST" and form.is_valid():
        if "save" not in request.POST:
            trial = trials.try_out(trials.with_rule(form.instance))
        elif _saved(request, form, "rules.change" if row else "rules.add"):
            return redirect("rules")
    context = {
        "rules": VerdictRule.objects.all(),
        "auto_ban": trials.auto_ban(),
        "form": form,
        "row": row,
        "trial": trial,
        "errors": UpstreamError.objects.order_by("-pk")[:_NEWEST],
    }
    status = 400 if form.is_bound and not form.is_valid() else 200
    return render(request, "apiproxy/rules.html", context, status=status)


def _saved(request: HttpRequest, form: RuleForm, act: str) -> bool:
    try:
        with transaction.atomic():
            rule = services.save_rule(rule=form.instance, version=form.cleaned_data["version"])
            record_request(request, action=act, subject=f"rule {rule.pk}", rule=str(rule))
    except Conflict as exc:
        form.add_error(None, exc.message)
        return False
    messages.success(request, f"Rule {rule.pk} is saved and in use everywhere.")
    return True


@stewards_only
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(VerdictRule, pk=pk)
    if request.method == "POST":
        with transaction.atomic():
            record_request(request, action="rules.delete", subject=f"rule {pk}", rule=str(row))
            row.delete()
        messages.success(request, f"Rule {pk} is gone.")
        return redirect("rules")
    trial = trials.try_out(trials.without_rule(row))
    return render(request, "apiproxy/rule_delete.html", {"row": row, "trial": trial})
