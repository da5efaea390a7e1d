"""The public price list, and what past calls would have cost at other prices."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from math import inf
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apiproxy.selectors.prices import public_prices
from apiproxy.selectors.windows import logged_since
from apiproxy.what_if import Answer, Named, Sums, what_if
from gateway.lib.credits import to_text
from gateway.lib.errors import InvalidRequest
from quotas.api.limits import CreditsField
from quotas.features import FEATURES
from quotas.pricing import Dated, Price
from quotas.selectors import price_book

_DAY = timedelta(days=1)
_LONGEST = timedelta(days=366)
_MOST_CHANGES = 200


class CostsSerializer(serializers.Serializer[Any]):
    per_call = serializers.CharField()
    input_per_million = serializers.CharField()
    cached_per_million = serializers.CharField()
    output_per_million = serializers.CharField()
    thinking_per_million = serializers.CharField()
    by_token = serializers.BooleanField()


class ModelCostsSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    display_name = serializers.CharField()
    costs = CostsSerializer()


class FactorSerializer(serializers.Serializer[Any]):
    feature = serializers.CharField()
    words = serializers.CharField()
    factor = serializers.CharField()


class UpcomingPriceSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    subject = serializers.CharField(help_text="A model, a glob or a feature.")
    words = serializers.CharField()
    costs = CostsSerializer(allow_null=True)
    factor = serializers.CharField(
        help_text="Empty, and no costs: what counts until then comes to an end."
    )


_COSTS = {
    "per_call": "10",
    "input_per_million": "0",
    "cached_per_million": "0",
    "output_per_million": "0",
    "thinking_per_million": "0",
    "by_token": False,
}


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "One model, one variant",
            value={
                "at": "2026-11-20T08:00:00Z",
                "models": [
                    {"id": "gemini-2.5-pro", "display_name": "Gemini 2.5 Pro", "costs": _COSTS}
                ],
                "others": {**_COSTS, "per_call": "1"},
                "multipliers": [
                    {
                        "feature": "anti_truncation",
                        "words": FEATURES["anti_truncation"],
                        "factor": "2",
                    }
                ],
                "upcoming": [],
            },
            response_only=True,
        )
    ]
)
class PriceListSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    models = ModelCostsSerializer(many=True)
    others = CostsSerializer(help_text="Of a model that is not listed.")
    multipliers = FactorSerializer(many=True)
    upcoming = UpcomingPriceSerializer(many=True)


class PublicPriceList(APIView):
    permission_classes = (AllowAny,)
    scope = "prices"

    @extend_schema(responses=PriceListSerializer)
    def get(self, request: Request) -> Response:
        """What each offered model costs everybody, in credits, what variants make of it, and what will change. No login."""
        return Response(PriceListSerializer(public_prices()).data)


class AskedPriceSerializer(serializers.Serializer[Any]):
    pattern = serializers.CharField(max_length=200)
    tariff = serializers.CharField(max_length=60, allow_blank=True, default="")
    per_call = CreditsField(default=0)
    input_per_million = CreditsField(default=0)
    cached_per_million = CreditsField(required=False)
    output_per_million = CreditsField(default=0)
    thinking_per_million = CreditsField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.setdefault("cached_per_million", attrs["input_per_million"])
        attrs.setdefault("thinking_per_million", attrs["output_per_million"])
        return attrs


class AskedMultiplierSerializer(serializers.Serializer[Any]):
    feature = serializers.ChoiceField(choices=list(FEATURES.items()))
    factor = serializers.DecimalField(max_digits=8, decimal_places=3, min_value=Decimal(0))


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Had pro models cost 15 a call yesterday",
            value={
                "since": "2026-11-19T00:00:00Z",
                "until": "2026-11-20T00:00:00Z",
                "prices": [{"pattern": "*pro*", "per_call": "15"}],
                "multipliers": [{"feature": "search", "factor": "1.5"}],
            },
            request_only=True,
        )
    ]
)
class WhatIfSerializer(serializers.Serializer[Any]):
    since = serializers.DateTimeField(
        required=False, help_text="A day before `until`, where nothing is said."
    )
    until = serializers.DateTimeField(required=False, help_text="Now, where nothing is said.")
    prices = AskedPriceSerializer(  # type: ignore[call-arg]
        many=True, required=False, max_length=_MOST_CHANGES
    )
    multipliers = AskedMultiplierSerializer(  # type: ignore[call-arg]
        many=True, required=False, max_length=_MOST_CHANGES
    )
    tariff = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=60,
        help_text="As if every call had this tariff; null: each its own.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        until = attrs.setdefault("until", timezone.now())
        try:
            since = attrs.setdefault("since", until - _DAY)
        except OverflowError as exc:
            raise serializers.ValidationError(
                {"until": ["There were no calls so long ago."]}
            ) from exc
        if since >= until:
            raise serializers.ValidationError({"since": ["It comes before until."]})
        if until - since > _LONGEST:
            raise serializers.ValidationError({"since": ["A year at most."]})
        return attrs


class SumsSerializer(serializers.Serializer[Any]):
    requests = serializers.IntegerField()
    actual = serializers.CharField()
    would_be = serializers.CharField()
    difference = serializers.CharField()


class ModelSumsSerializer(SumsSerializer):
    model = serializers.CharField()


class KeySumsSerializer(SumsSerializer):
    key_id = serializers.IntegerField()
    key = serializers.CharField(help_text="Masked.")


_SUMS = {"requests": 412, "actual": "3300", "would_be": "4120", "difference": "820"}


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Yesterday would have cost 4,120 instead of 3,300",
            value={
                "since": "2026-11-19T00:00:00Z",
                "until": "2026-11-20T00:00:00Z",
                **_SUMS,
                "uncharged_requests": 21,
                "unpriced_requests": 0,
                "by_model": [{"model": "gemini-2.5-pro", **_SUMS}],
                "by_key": [{"key_id": 17, "key": "sk-Ab3x… Alice", **_SUMS}],
            },
            response_only=True,
        )
    ]
)
class WhatIfAnswerSerializer(SumsSerializer):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    uncharged_requests = serializers.IntegerField(
        help_text="They cost nothing at any price: nothing was delivered, or the caller has no key of their own."
    )
    unpriced_requests = serializers.IntegerField(
        help_text="No price would fit them: they would be free."
    )
    by_model = ModelSumsSerializer(many=True)
    by_key = KeySumsSerializer(many=True)


class WhatIf(APIView):
    scope = "prices"

    @extend_schema(request=WhatIfSerializer, responses=WhatIfAnswerSerializer)
    def post(self, request: Request) -> Response:
        """What the calls of a time would have cost at today's prices with these changes. Nothing is saved. Exact but for rounding;
        groups pay the factor they have now. `since` is later than asked where the log does not go back so far."""
        asked = WhatIfSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        facts = asked.validated_data
        now = timezone.now()
        try:
            since = logged_since(facts["since"], facts["until"])
        except ValueError as exc:
            raise InvalidRequest(str(exc), param="until") from exc
        answer = what_if(
            since=since,
            until=facts["until"],
            book=price_book(now),
            now=now.timestamp(),
            changes=_changes(facts),
            tariff=facts.get("tariff"),
        )
        return Response(
            WhatIfAnswerSerializer({"since": since, "until": facts["until"], **_shown(answer)}).data
        )


def _changes(facts: dict[str, Any]) -> list[Dated]:
    prices = [
        Dated(
            -inf,
            inf,
            order,
            tariff=one["tariff"],
            price=Price(
                pattern=one["pattern"],
                per_call_micros=one["per_call"],
                input_micros_per_million=one["input_per_million"],
                cached_micros_per_million=one["cached_per_million"],
                output_micros_per_million=one["output_per_million"],
                thinking_micros_per_million=one["thinking_per_million"],
            ),
        )
        for order, one in enumerate(facts.get("prices") or ())
    ]
    factors = [
        Dated(-inf, inf, order, feature=one["feature"], factor=Fraction(one["factor"]))
        for order, one in enumerate(facts.get("multipliers") or ())
    ]
    return prices + factors


def _shown(answer: Answer) -> dict[str, Any]:
    return {
        **_sums(answer.total),
        "uncharged_requests": answer.uncharged,
        "unpriced_requests": answer.unpriced,
        "by_model": [{"model": one.name, **_sums(one.sums)} for one in answer.by_model],
        "by_key": [_key(one) for one in answer.by_key],
    }


def _key(one: Named) -> dict[str, Any]:
    return {"key_id": one.id, "key": one.name, **_sums(one.sums)}


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "requests": sums.requests,
        "actual": to_text(sums.was_micros),
        "would_be": to_text(sums.would_be_micros),
        "difference": to_text(sums.would_be_micros - sums.was_micros),
    }
