"""Shapes of the request log and of the sums."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from apiproxy.models import RequestLog
from apiproxy.selectors.usage import AXES, SORTS
from apiproxy.serializers import RequestSerializer
from gateway.lib.credits import MICROS_PER_CREDIT


class CreditsField(serializers.DecimalField):
    """Micros as credits, in a text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=20, decimal_places=6, read_only=True, **options)

    def to_representation(self, value: Any) -> Any:
        return super().to_representation(Decimal(value) / MICROS_PER_CREDIT)


class OwnRequestRowSerializer(serializers.ModelSerializer[RequestLog]):
    """A line of the list of one's own calls. Whose credential answered is not told."""

    credits = CreditsField(source="cost_micros")

    class Meta:
        model = RequestLog
        fields: tuple[str, ...] = (
            "id",
            "request_id",
            "at",
            "key_id",
            "dialect",
            "action",
            "model",
            "requested_model",
            "stream",
            "status",
            "error_code",
            "error",
            "input_tokens",
            "cached_tokens",
            "output_tokens",
            "thinking_tokens",
            "credits",
            "first_byte_ms",
            "waited_ms",
            "duration_ms",
        )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A streamed answer",
            value={
                "id": 4711,
                "request_id": "req_5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f",
                "at": "2026-11-20T09:15:02.120000Z",
                "key_id": 12,
                "dialect": "openai-chat",
                "action": "generate",
                "model": "gemini-2.5-flash",
                "requested_model": "gemini-2.5-flash-search",
                "stream": True,
                "status": 200,
                "error_code": "",
                "error": "",
                "input_tokens": 812,
                "cached_tokens": 0,
                "output_tokens": 240,
                "thinking_tokens": 64,
                "credits": "2.000000",
                "first_byte_ms": 640,
                "waited_ms": 0,
                "duration_ms": 2310,
                "owner_id": 3,
                "group_id": 1,
                "credential_id": 88,
                "provider": "gemini_api",
            },
            response_only=True,
        )
    ]
)
class RequestRowSerializer(OwnRequestRowSerializer):
    """A line of the list; all of one request is at /api/requests/{request_id}."""

    class Meta(OwnRequestRowSerializer.Meta):
        fields = (
            *OwnRequestRowSerializer.Meta.fields,
            "owner_id",
            "group_id",
            "credential_id",
            "provider",
        )


class OwnRequestSerializer(RequestSerializer):
    """The same without the credentials that were tried."""

    attempts = None  # type: ignore[assignment]
    owner_id = None  # type: ignore[assignment]
    group_id = None  # type: ignore[assignment]
    credential_id = None  # type: ignore[assignment]
    provider = None  # type: ignore[assignment]


class _Span(serializers.Serializer[Any]):
    since = serializers.DateTimeField(
        required=False, help_text="Down to the hour. Default: 30 days before `until`."
    )
    until = serializers.DateTimeField(required=False, help_text="Up to the hour. Default: now.")


class OwnUsageQuery(_Span):
    """Spans are told in whole hours; those of a key, a person or a credential in whole days of UTC where they lie
    longer ago than the site keeps such hours (USAGE_DETAIL_DAYS)."""

    by = serializers.ChoiceField(choices=["model", "key", "dialect"], default="model")
    key = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)
    model = serializers.CharField(required=False, max_length=200)
    sort = serializers.ChoiceField(choices=list(SORTS), default="requests")
    page = serializers.IntegerField(default=1, min_value=1, max_value=100_000)
    page_size = serializers.IntegerField(default=50, min_value=1, max_value=100)


class UsageQuery(OwnUsageQuery):
    by = serializers.ChoiceField(choices=list(AXES), default="model")
    user = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)
    group = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)
    credential = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)
    dialect = serializers.CharField(required=False, max_length=40)


class OwnSeriesQuery(_Span):
    step = serializers.ChoiceField(choices=["hour", "day"], default="day")
    split = serializers.ChoiceField(choices=["model"], required=False)
    key = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)
    model = serializers.CharField(required=False, max_length=200)


class SeriesQuery(OwnSeriesQuery):
    """Of key, user, group, credential and dialect one at the most; without, the whole site."""

    user = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)
    group = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)
    credential = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)
    dialect = serializers.CharField(required=False, max_length=40)


class ErrorCountsSerializer(serializers.Serializer[Any]):
    client = serializers.IntegerField(help_text="The client's own: 4xx but these.")
    auth = serializers.IntegerField(help_text="401, 403")
    limit = serializers.IntegerField(help_text="429")
    left = serializers.IntegerField(help_text="499: the client did not wait.")
    upstream = serializers.IntegerField(help_text="502, 504")
    unavailable = serializers.IntegerField(help_text="503")
    internal = serializers.IntegerField(help_text="500")


class TokenCountsSerializer(serializers.Serializer[Any]):
    input = serializers.IntegerField(help_text="With the cached ones.")
    cached = serializers.IntegerField()
    output = serializers.IntegerField()
    thinking = serializers.IntegerField()


class PercentilesSerializer(serializers.Serializer[Any]):
    """In milliseconds, to 5 %. null: nothing was measured, or this was counted from the log, or split."""

    p50 = serializers.IntegerField(allow_null=True)
    p90 = serializers.IntegerField(allow_null=True)
    p95 = serializers.IntegerField(allow_null=True)
    p99 = serializers.IntegerField(allow_null=True)


class UseSerializer(serializers.Serializer[Any]):
    requests = serializers.IntegerField()
    successes = serializers.IntegerField()
    errors = ErrorCountsSerializer()  # type: ignore[assignment]
    tokens = TokenCountsSerializer()
    credits = CreditsField()
    duration_ms = PercentilesSerializer()
    first_byte_ms = PercentilesSerializer()


class UsageLineSerializer(UseSerializer):
    subject = serializers.CharField(help_text="The id, the model or the dialect.")
    label = serializers.CharField(  # type: ignore[assignment]
        help_text="What it is called; empty: it is gone."
    )


class UsagePointSerializer(UseSerializer):
    start = serializers.DateTimeField()
    model = serializers.CharField(help_text="Empty unless they are split.")


_USE = {
    "requests": 1200,
    "successes": 1150,
    "errors": {
        "client": 10,
        "auth": 0,
        "limit": 30,
        "left": 4,
        "upstream": 5,
        "unavailable": 1,
        "internal": 0,
    },
    "tokens": {"input": 812000, "cached": 20000, "output": 240000, "thinking": 64000},
    "credits": "2400.000000",
    "duration_ms": {"p50": 2310, "p90": 5200, "p95": 7400, "p99": 13000},
    "first_byte_ms": {"p50": 640, "p90": 1500, "p95": 2100, "p99": 4000},
}


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "By model",
            value={
                "since": "2026-11-01T00:00:00Z",
                "until": "2026-11-21T00:00:00Z",
                "as_of": "2026-11-20T09:15:00Z",
                "count": 1,
                "next": None,
                "previous": None,
                "results": [{"subject": "gemini-2.5-flash", "label": "gemini-2.5-flash", **_USE}],
            },
            response_only=True,
        )
    ]
)
class UsageSerializer(serializers.Serializer[Any]):
    """`since`, `until`: what is really told of. `as_of`: what was logged by then is counted; null: nothing was yet."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    as_of = serializers.DateTimeField(allow_null=True)
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = UsageLineSerializer(many=True)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A day",
            value={
                "step": "day",
                "as_of": "2026-11-20T09:15:00Z",
                "points": [{"start": "2026-11-20T00:00:00Z", "model": "", **_USE}],
            },
            response_only=True,
        )
    ]
)
class SeriesSerializer(serializers.Serializer[Any]):
    step = serializers.ChoiceField(choices=["hour", "day"])
    as_of = serializers.DateTimeField(allow_null=True)
    points = UsagePointSerializer(many=True)
