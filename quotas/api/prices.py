"""/api/prices: what calls cost, cost and will cost."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db import transaction
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.lib.audit import record_change
from gateway.lib.credits import to_text
from quotas.api.dated import (
    DatedFilter,
    DatedSerializer,
    DatedViewSet,
    EndSerializer,
    times_of,
)
from quotas.api.limits import CreditsField
from quotas.models import Price
from quotas.services.pricing import current_price, end_price, set_price

_NAMES = {
    "per_call": "per_call_micros",
    "input_per_million": "input_micros_per_million",
    "cached_per_million": "cached_micros_per_million",
    "output_per_million": "output_micros_per_million",
    "thinking_per_million": "thinking_micros_per_million",
}
_SET = {
    "pattern": "gemini-3-pro*",
    "per_call": "2",
    "input_per_million": "1.25",
    "output_per_million": "10",
    "valid_from": "2026-12-01T00:00:00Z",
    "note": "Announced on 20 November.",
}


@extend_schema_serializer(
    examples=[
        OpenApiExample("A price that begins in December", value=_SET, request_only=True),
        OpenApiExample(
            "A price that begins in December, as stored",
            value={
                "id": 12,
                "tariff": "",
                **_SET,
                "cached_per_million": "1.25",
                "thinking_per_million": "10",
                "valid_until": None,
                "state": "upcoming",
            },
            response_only=True,
        ),
    ]
)
class PriceSerializer(DatedSerializer):
    per_call = CreditsField(source="per_call_micros", required=False)
    input_per_million = CreditsField(
        source="input_micros_per_million",
        required=False,
        help_text="Credits for a million tokens of input that were not cached.",
    )
    cached_per_million = CreditsField(
        source="cached_micros_per_million",
        required=False,
        help_text="As much as other input, where nothing is said.",
    )
    output_per_million = CreditsField(source="output_micros_per_million", required=False)
    thinking_per_million = CreditsField(
        source="thinking_micros_per_million",
        required=False,
        help_text="As much as output, where nothing is said.",
    )

    class Meta:
        model = Price
        fields = (
            "id",
            "tariff",
            "pattern",
            *_NAMES,
            "valid_from",
            "valid_until",
            "note",
            "state",
        )
        # Their own words for two that begin at the same moment.
        validators: list[Any] = []


class PriceFilter(DatedFilter):
    pattern = django_filters.CharFilter(help_text="Just this one, as it is written.")
    tariff = django_filters.CharFilter(help_text="Of this tariff.")
    everybody = django_filters.BooleanFilter(
        method="everybodys", help_text="Everybody's prices, or only those of tariffs."
    )

    def everybodys(self, rows: Any, name: str, value: bool) -> Any:
        return rows.filter(tariff="") if value else rows.exclude(tariff="")

    class Meta:
        model = Price
        fields = ("at", "state", "pattern", "tariff", "everybody")


class Prices(DatedViewSet):
    """Newest first: what counts now, or counted at another moment, or the whole history. Of several prices that fit a model: the
    tariff's own list goes before everybody's; in each the model's full name, then the glob with the most literal characters, then
    the one that began later. Rows are added and ended, never changed."""

    queryset = Price.objects.all()
    serializer_class = PriceSerializer
    filterset_class = PriceFilter

    @extend_schema(responses={201: PriceSerializer})
    def create(self, request: Request) -> Response:
        """Set a price: from then on it takes the place of the same pattern's price in the same tariff."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        facts = asked.validated_data
        with transaction.atomic():
            before = current_price(facts["pattern"], facts.get("tariff", ""))
            price = set_price(**facts)
            record_change(
                request._request,
                action="prices.set",
                subject=_subject(price),
                before=told(before) if before else {},
                after=told(price),
            )
        return Response(self.get_serializer(price).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=EndSerializer, responses=PriceSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: str) -> Response:
        """It counts until then; one that has not begun is called off. Its models fall back to the next price that fits them."""
        asked = EndSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        row: Price = self.get_object()
        with transaction.atomic():
            price = end_price(price_id=row.pk, at=asked.validated_data.get("at"))
            record_change(
                request._request,
                action="prices.end",
                subject=_subject(price),
                before=told(row),
                after=told(price),
            )
        return Response(self.get_serializer(price).data)


def told(price: Price) -> dict[str, Any]:
    """For the audit log."""
    rates = {name: to_text(getattr(price, column)) for name, column in _NAMES.items()}
    return {**rates, **times_of(price), "note": price.note}


def _subject(price: Price) -> str:
    return f"price of {price.pattern}" + (f" in tariff {price.tariff}" if price.tariff else "")
