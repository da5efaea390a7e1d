"""The older gateways' routes by which a key's holder asks what is left of it, with their answers (reference 6.8).

A key that is used up, paused or expired may ask as well. Amounts are credits; a key without a limit has null where the limit and what is
left of it stand.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import (
    api_view,
    authentication_classes,
    permission_classes,
)
from rest_framework.exceptions import ParseError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import standing
from accounts.models import ApiKey
from apiproxy.selectors.keys import spent_by_model
from gateway.lib.credits import MICROS_PER_CREDIT
from gateway.lib.errors import AuthenticationFailed, RateLimited, UnknownRoute
from gateway.lib.throttles import address_of, count, seconds_left

_HEAD, _TAIL = 10, 4
_UNKNOWN = "Invalid API key"


@extend_schema(exclude=True)
@api_view(["GET"])
@authentication_classes([])
@permission_classes([AllowAny])
def quota(request: Request) -> Response:
    """The key as Bearer, x-api-key, or ?api_key=."""
    presented = _presented(request)
    if not presented:
        raise AuthenticationFailed("Send the API key as Bearer token, x-api-key or api_key.")
    key = key_of(request, presented)
    if key is None:
        raise AuthenticationFailed(_UNKNOWN)
    return _private(
        {"api_key": f"{presented[:_HEAD]}...", **figures_of(key), "model_stats": _stats(key)}
    )


@extend_schema(exclude=True)
@api_view(["POST"])
@authentication_classes([])
@permission_classes([AllowAny])
def query(request: Request) -> Response:
    presented = request.data.get("api_key") if isinstance(request.data, dict) else None
    if not isinstance(presented, str) or not presented.strip():
        raise ParseError("api_key is required")
    presented = presented.strip()
    key = key_of(request, presented)
    if key is None:
        raise UnknownRoute("API key not found")
    balance = key.balance
    percentage = Decimal(0)
    if not balance.open_ended:
        used = Decimal(balance.used_micros) * 100
        percentage = used / balance.total_micros if balance.total_micros else Decimal(100)
    return _private(
        {
            "api_key": f"{presented[:_HEAD]}...{presented[-_TAIL:]}",
            **figures_of(key),
            "created_at": key.created_at.isoformat(),
            "description": key.description,
            "model_stats": _stats(key),
            "usage_percentage": float(round(percentage, 2)),
        }
    )


def key_of(request: Request, presented: str) -> ApiKey | None:
    """Raises RateLimited for an address that tries too many."""
    most = settings.WRONG_KEYS_PER_MINUTE
    if most and count(f"keys:{address_of(request)}") > most:
        raise RateLimited(
            "Too many API keys from this address: wait a minute.", retry_after_s=seconds_left()
        )
    shown = standing.of_secret(presented)
    return shown.key if shown and shown.is_current else None


def figures_of(key: ApiKey) -> dict[str, Any]:
    """total_quota, used_quota and remaining_quota of a key. Credits reserved for running calls are neither used nor left."""
    balance = key.balance
    return {
        "total_quota": None if balance.open_ended else number(balance.total_micros),
        "used_quota": number(balance.used_micros),
        "remaining_quota": None if balance.open_ended else number(balance.remaining_micros),
    }


def number(micros: int) -> int | float:
    """Credits as the JSON number that reads as the same decimal; whole ones without a point, as they were then."""
    credits = Decimal(micros) / MICROS_PER_CREDIT
    return int(credits) if credits == credits.to_integral_value() else float(credits)


def model_stats(key_ids: list[int]) -> dict[int, dict[str, int | float]]:
    """{key: {model: credits}} of all time. Variants of a model stand under its own name."""
    return {
        key_id: {model: number(micros) for model, micros in models.items()}
        for key_id, models in spent_by_model(key_ids).items()
    }


def _stats(key: ApiKey) -> dict[str, int | float]:
    return model_stats([key.pk]).get(key.pk, {})


def _presented(request: Request) -> str:
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return str(token.strip())
    found = request.META.get("HTTP_X_API_KEY") or request.query_params.get("api_key", "")
    return str(found).strip()


def _private(facts: dict[str, Any]) -> Response:
    return Response(facts, headers={"Cache-Control": "no-store"})
