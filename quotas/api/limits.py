"""Limits as the management API reads and writes them: credits as decimal strings, everything else as it is."""

from __future__ import annotations

import ipaddress
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from gateway.lib import credits
from quotas.models import Limits

DIALECTS = ("openai", "anthropic", "gemini", "simple")
_MOST = 2**31 - 1
_MOST_ENTRIES = 200


class CreditsField(serializers.DecimalField):
    """Micros inside, credits outside: 2500000 <-> "2.5". Refuses what is no whole number of micros, and what is not
    finite."""

    def __init__(self, *, min_value: Decimal = Decimal(0), **kwargs: Any) -> None:
        super().__init__(
            max_digits=19,
            decimal_places=6,
            min_value=min_value,
            max_value=Decimal(credits.MAX_CREDITS),
            **kwargs,
        )

    def to_internal_value(self, data: Any) -> int:  # type: ignore[override]
        if isinstance(data, bool | float):
            # 0.1 as a binary fraction is not what was meant; JSON's other numbers are exact.
            data = repr(data) if isinstance(data, float) else "no number"
        value: Decimal = super().to_internal_value(data)
        return int(value * credits.MICROS_PER_CREDIT)

    def to_representation(self, value: Any) -> str:
        return credits.to_text(int(value))


def _globs() -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=_MOST_ENTRIES, required=False
    )


def _count(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(
        min_value=0, max_value=_MOST, allow_null=True, required=False, help_text=help_text
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A hundred credits a day, ten calls a minute",
            value={"day_credits": "100", "rpm": 10, "time_zone": "Asia/Shanghai"},
        )
    ]
)
class LimitsSerializer(serializers.ModelSerializer[Limits]):
    """What is null or empty does not limit."""

    day_credits = CreditsField(source="day_micros", allow_null=True, required=False)
    week_credits = CreditsField(source="week_micros", allow_null=True, required=False)
    month_credits = CreditsField(source="month_micros", allow_null=True, required=False)
    rpm = _count("Requests a minute.")
    rpd = _count("Requests a day, from midnight to midnight.")
    tpm = _count("Tokens a minute, of requests and answers together.")
    concurrency = _count("Calls that run at the same time.")
    allowed_models = _globs()
    allowed_dialects = serializers.ListField(
        child=serializers.ChoiceField(choices=DIALECTS), max_length=len(DIALECTS), required=False
    )
    allowed_networks = _globs()
    time_zone = serializers.CharField(max_length=64, allow_blank=True, required=False)

    class Meta:
        model = Limits
        fields = (
            "day_credits",
            "week_credits",
            "month_credits",
            "rpm",
            "rpd",
            "tpm",
            "concurrency",
            "allowed_models",
            "allowed_dialects",
            "allowed_networks",
            "time_zone",
        )

    def validate_allowed_networks(self, value: list[str]) -> list[str]:
        return [network_of(text) for text in value]

    def validate_time_zone(self, value: str) -> str:
        if value and value not in available_timezones():
            raise serializers.ValidationError(
                f"There is no time zone {value!r}: try Asia/Shanghai."
            )
        return value


def network_of(text: str) -> str:
    """An address or a CIDR range in its usual spelling. Raises ValidationError."""
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError as exc:
        raise serializers.ValidationError(
            f"{text!r} is neither an address nor a range such as 10.0.0.0/8."
        ) from exc
