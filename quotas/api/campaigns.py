"""/api/campaigns: what codes give. A campaign is switched off, never deleted: what was redeemed points to it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers, status
from rest_framework.filters import BaseFilterBackend
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from gateway.lib.api import Cursor
from gateway.lib.audit import record_change
from quotas import services
from quotas.api.limits import CreditsField
from quotas.models import Campaign, Code, Redemption
from quotas.services.campaigns import FIELDS

_SMALLEST = Decimal("0.000001")

_EXAMPLE = {
    "name": "Spring 2026",
    "note": "For the newsletter.",
    "credits": "100",
    "credit_days": 30,
    "starts_at": None,
    "ends_at": "2026-12-31T23:00:00Z",
    "once_each": True,
    "is_active": True,
}


@extend_schema_serializer(
    examples=[
        OpenApiExample("A gift for a month", value=_EXAMPLE, request_only=True),
        OpenApiExample(
            "A gift for a month, as stored",
            value={
                "id": 3,
                **_EXAMPLE,
                "created_at": "2026-11-20T08:00:00Z",
                "codes": 500,
                "redemptions": 120,
                "given_credits": "12000",
            },
            response_only=True,
        ),
    ]
)
class CampaignSerializer(serializers.ModelSerializer[Campaign]):
    # Its own words for a name that is taken: the service says so, also when two come at once.
    name = serializers.CharField(max_length=100)
    credits = CreditsField(
        source="amount_micros", min_value=_SMALLEST, help_text="For each redemption."
    )
    credit_days = serializers.IntegerField(
        min_value=1,
        max_value=36_500,
        allow_null=True,
        required=False,
        help_text="Unspent credits expire after so many days; null: never.",
    )
    codes = serializers.IntegerField(
        source="codes_made", read_only=True, help_text="How many were made."
    )
    redemptions = serializers.IntegerField(source="redemptions_made", read_only=True)
    given_credits = CreditsField(source="given_micros", read_only=True)

    class Meta:
        model = Campaign
        fields = (
            "id",
            "name",
            "note",
            "credits",
            "credit_days",
            "starts_at",
            "ends_at",
            "once_each",
            "is_active",
            "created_at",
            "codes",
            "redemptions",
            "given_credits",
        )
        read_only_fields = ("id", "created_at")


class CampaignFilter(django_filters.FilterSet):  # type: ignore[misc]
    active = django_filters.BooleanFilter("is_active")
    search = django_filters.CharFilter("name", lookup_expr="icontains", help_text="In the name.")

    class Meta:
        model = Campaign
        fields = ("active", "search")


class Campaigns(ListModelMixin, RetrieveModelMixin, GenericViewSet[Campaign]):
    """For operators."""

    queryset = Campaign.objects.all()
    scope = "campaigns"
    serializer_class = CampaignSerializer
    pagination_class = Cursor
    filter_backends: Sequence[type[BaseFilterBackend]] = (DjangoFilterBackend,)
    filterset_class = CampaignFilter
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[Campaign]:
        return with_counts(super().get_queryset())

    @extend_schema(request=CampaignSerializer, responses={201: CampaignSerializer})
    def create(self, request: Request) -> Response:
        """A new one; its codes are made at `/api/codes`."""
        form = CampaignSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        row = self._save(request, None, form.validated_data)
        return Response(self._shown(row), status=status.HTTP_201_CREATED)

    @extend_schema(request=CampaignSerializer, responses=CampaignSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """What is left out stays. What was redeemed already stays as it was."""
        row = self.get_object()
        form = CampaignSerializer(row, data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        return Response(self._shown(self._save(request, row, form.validated_data)))

    def _save(self, request: Request, row: Campaign | None, values: dict[str, Any]) -> Campaign:
        before = _facts(row) if row else {}
        with transaction.atomic():
            saved = services.save_campaign(campaign=row, values=values)
            record_change(
                request._request,
                action="campaigns.edit" if row else "campaigns.create",
                subject=f"campaign {saved.pk}",
                before=before,
                after=_facts(saved),
            )
        return saved

    def _shown(self, row: Campaign) -> Any:
        return CampaignSerializer(self.get_queryset().get(pk=row.pk)).data


def with_counts(rows: QuerySet[Campaign]) -> QuerySet[Campaign]:
    def of(model: type[Code | Redemption], figure: Any) -> Coalesce:
        mine = model._default_manager.filter(campaign=OuterRef("pk")).order_by()
        return Coalesce(Subquery(mine.values("campaign").annotate(n=figure).values("n")), Value(0))

    return rows.annotate(
        codes_made=of(Code, Count("pk")),
        redemptions_made=of(Redemption, Count("pk")),
        given_micros=of(Redemption, Sum("entry__amount_micros")),
    )


def _facts(row: Campaign) -> dict[str, Any]:
    return {name: getattr(row, name) for name in FIELDS}
