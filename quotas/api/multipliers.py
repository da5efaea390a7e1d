"""/api/multipliers: what variants, tools and sizes of pictures make of a price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import django_filters
from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.lib.audit import record_change
from quotas.api.dated import (
    DatedFilter,
    DatedSerializer,
    DatedViewSet,
    EndSerializer,
    times_of,
)
from quotas.features import FEATURES
from quotas.models import Multiplier
from quotas.selectors.prices import in_force
from quotas.services.pricing import end_multiplier, set_multiplier

_SET = {"feature": "image_4k", "factor": "2.5"}


@extend_schema_serializer(
    examples=[
        OpenApiExample("Large pictures cost more", value=_SET, request_only=True),
        OpenApiExample(
            "Large pictures cost more, as stored",
            value={
                "id": 4,
                **_SET,
                "words": FEATURES["image_4k"],
                "valid_from": "2026-11-20T08:00:00Z",
                "valid_until": None,
                "state": "current",
            },
            response_only=True,
        ),
    ]
)
class MultiplierSerializer(DatedSerializer):
    feature = serializers.ChoiceField(choices=list(FEATURES.items()))
    factor = serializers.DecimalField(
        max_digits=8,
        decimal_places=3,
        min_value=Decimal(0),
        normalize_output=True,
        help_text="On the whole price, beside other features' factors.",
    )
    words = serializers.SerializerMethodField()

    class Meta:
        model = Multiplier
        fields = ("id", "feature", "words", "factor", "valid_from", "valid_until", "state")
        validators: list[Any] = []

    def get_words(self, row: Multiplier) -> str:
        return FEATURES.get(row.feature, row.feature)


class MultiplierFilter(DatedFilter):
    feature = django_filters.ChoiceFilter(choices=list(FEATURES.items()))

    class Meta:
        model = Multiplier
        fields = ("at", "state", "feature")


class Multipliers(DatedViewSet):
    """Newest first: what counts now, or counted at another moment, or the whole history. What a feature has no multiplier for costs
    nothing more."""

    queryset = Multiplier.objects.all()
    serializer_class = MultiplierSerializer
    filterset_class = MultiplierFilter

    @extend_schema(responses={201: MultiplierSerializer})
    def create(self, request: Request) -> Response:
        """Set a multiplier: from then on it takes the place of the feature's."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        facts = asked.validated_data
        with transaction.atomic():
            rows = Multiplier.objects.filter(feature=facts["feature"])
            before = in_force(rows, timezone.now()).first()
            row = set_multiplier(**facts)
            record_change(
                request._request,
                action="multipliers.set",
                subject=f"multiplier of {row.feature}",
                before=told(before) if before else {},
                after=told(row),
            )
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=EndSerializer, responses=MultiplierSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: str) -> Response:
        """It counts until then; one that has not begun is called off."""
        asked = EndSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        before: Multiplier = self.get_object()
        with transaction.atomic():
            row = end_multiplier(multiplier_id=before.pk, at=asked.validated_data.get("at"))
            record_change(
                request._request,
                action="multipliers.end",
                subject=f"multiplier of {row.feature}",
                before=told(before),
                after=told(row),
            )
        return Response(self.get_serializer(row).data)


def told(row: Multiplier) -> dict[str, Any]:
    """For the audit log."""
    return {"factor": f"{row.factor.normalize():f}", **times_of(row)}
