"""Rules for upstream errors, and the errors themselves. For stewards and operators; every change is audited."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apiproxy import services, trials
from apiproxy.models import UpstreamError, VerdictRule
from apiproxy.serializers import (
    DryRunSerializer,
    RuleSerializer,
    TrialSerializer,
    UpstreamErrorFilters,
    UpstreamErrorSerializer,
)
from gateway.lib.access import IsSteward
from gateway.lib.api import Pages
from gateway.lib.audit import record_request


class Rules(viewsets.ModelViewSet[VerdictRule]):
    """What this site makes of upstream errors, before the built-in judgement's takes effect."""

    permission_classes = (IsSteward,)
    scope = "rules"
    queryset = VerdictRule.objects.all()
    serializer_class = RuleSerializer
    pagination_class = None
    http_method_names = ("get", "post", "patch", "delete", "head", "options")

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """In the order in which they are asked; those of the environment (AUTO_BAN) come last and are locked."""
        locked = [_locked(rule.status) for rule in trials.auto_ban()]
        return Response(RuleSerializer([*self.get_queryset(), *locked], many=True).data)

    def perform_create(self, serializer: Any) -> None:
        self._save(serializer, "rules.add")

    def perform_update(self, serializer: Any) -> None:
        """409 when `version` is not the newest."""
        self._save(serializer, "rules.change")

    def _save(self, serializer: Any, act: str) -> None:
        facts = serializer.validated_data
        with transaction.atomic():
            rule = services.save_rule(rule=serializer.changed(facts), version=facts.get("revision"))
            record_request(self.request, action=act, subject=f"rule {rule.pk}", rule=str(rule))
        serializer.instance = rule

    def perform_destroy(self, instance: VerdictRule) -> None:
        subject = f"rule {instance.pk}"
        with transaction.atomic():
            record_request(self.request, action="rules.delete", subject=subject, rule=str(instance))
            instance.delete()

    @extend_schema(request=DryRunSerializer, responses=TrialSerializer)
    @action(detail=False, methods=["post"], url_path="dry-run")
    def dry_run(self, request: Request) -> Response:
        """What a changed set would have done to the last thousand errors. Nothing is saved."""
        return Response(TrialSerializer(trials.try_out(_changed_set(request))).data)


def _changed_set(request: Request) -> list[VerdictRule]:
    asked = DryRunSerializer(data=request.data)
    asked.is_valid(raise_exception=True)
    facts = asked.validated_data
    if "rules" in facts:
        rows = [RuleSerializer().changed(attrs) for attrs in facts["rules"]]
        return sorted(rows, key=lambda row: row.position)
    if "deletes" in facts:
        return trials.without_rule(_known(facts["deletes"]))
    known = _known(facts["replaces"]) if "replaces" in facts else None
    return trials.with_rule(RuleSerializer(known).changed(facts["rule"]))


def _known(pk: int) -> VerdictRule:
    row = VerdictRule.objects.filter(pk=pk).first()
    if row is None:
        raise ValidationError({"detail": f"There is no rule {pk}."})
    return row


def _locked(status: int | None) -> VerdictRule:
    return VerdictRule(
        position=10_000, status=status, action="disable", note="AUTO_BAN_ERROR_CODES"
    )


@extend_schema(parameters=[UpstreamErrorFilters])
class UpstreamErrors(generics.ListAPIView[UpstreamError]):
    """Failed attempts, newest first: the last five thousand, without secrets."""

    permission_classes = (IsSteward,)
    scope = "rules"
    queryset = UpstreamError.objects.order_by("-pk")
    serializer_class = UpstreamErrorSerializer
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[UpstreamError]:
        given = {name: value for name, value in self.request.query_params.items() if value}
        asked = UpstreamErrorFilters(data=given)
        asked.is_valid(raise_exception=True)
        return super().get_queryset().filter(**asked.validated_data)
