"""`/auth/models/costs`: what a call of a model costs, in the older gateways' shapes (reference 6.8). Costs are credits, whole or
fractional numbers; names may be globs, and * is the default. A change here is a new price from now on, like any other.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apiproxy.selectors import catalogue
from apiproxy.shaping import features_of_name
from gateway.lib.audit import record_change
from gateway.lib.credits import MAX_CREDITS, MICROS_PER_CREDIT
from gateway.lib.errors import GatewayError, UnknownRoute
from gateway.older.quota import number
from quotas.api.prices import told
from quotas.models import Price
from quotas.selectors import price_list
from quotas.selectors.prices import in_force
from quotas.services.pricing import current_price, end_price, set_price

_DEFAULT = "*"
_LONGEST_NAME = 200


@extend_schema(exclude=True)
class OlderCosts(APIView):
    """For operators: by session, token or panel password."""

    scope = "prices"

    def get(self, request: Request) -> Response:
        rows = in_force(Price.objects.filter(tariff=""), timezone.now())
        costs = dict(rows.order_by("pk").values_list("pattern", "per_call_micros"))
        default = costs.pop(_DEFAULT, 0)
        return Response(
            {
                "default_cost": number(default),
                "model_costs": {name: number(micros) for name, micros in costs.items()},
            }
        )

    def post(self, request: Request) -> Response:
        """A call costs this from now on, and its tokens nothing."""
        asked = request.data if isinstance(request.data, dict) else {}
        name, micros = _name(asked.get("model_name")), _micros(asked.get("cost"))
        with transaction.atomic():
            before = current_price(name)
            price = set_price(
                pattern=name, per_call_micros=micros, note="set at /auth/models/costs"
            )
            record_change(
                request._request,
                action="prices.set",
                subject=f"price of {name}",
                before=told(before) if before else {},
                after=told(price),
            )
        return Response(
            {"message": "Model cost updated", "model_name": name, "cost": number(micros)}
        )


@extend_schema(exclude=True)
class OlderCost(APIView):
    scope = "prices"

    def delete(self, request: Request, name: str) -> Response:
        with transaction.atomic():
            before = current_price(_stored(name))
            if before is None:
                raise UnknownRoute("Model cost not found")
            price = end_price(price_id=before.pk)
            record_change(
                request._request,
                action="prices.end",
                subject=f"price of {name}",
                before=told(before),
                after=told(price),
            )
        return Response({"message": "Model cost deleted", "model_name": name})


@extend_schema(exclude=True)
class OlderModelCost(APIView):
    """What one call costs everybody, with what the variants in the name make of it; no login."""

    permission_classes = (AllowAny,)
    scope = "prices"

    def get(self, request: Request, name: str) -> Response:
        name = _stored(name)
        model: str = name
        features: tuple[str, ...] = ()
        try:
            resolved = catalogue().resolve(name)
            model, features = resolved.id, features_of_name(resolved)
        except GatewayError:
            # Prices may be set before the model is offered.
            pass
        price = price_list().of(model, features)
        factor = price.factor
        micros = -(-price.per_call_micros * factor.numerator // factor.denominator)
        return Response(
            {
                "model_name": name,
                "cost": number(micros),
                "is_default": price.pattern in ("", _DEFAULT),
            }
        )


def _stored(name: str) -> str:
    """PostgreSQL takes no NUL."""
    return name.replace("\0", "")[:_LONGEST_NAME]


def _name(given: Any) -> str:
    if not isinstance(given, str) or not given.strip() or not given.isprintable():
        raise ParseError("model_name is required")
    if len(given.strip()) > _LONGEST_NAME:
        raise ParseError(f"model_name has at most {_LONGEST_NAME} characters")
    return given.strip()


def _micros(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ParseError("cost must be a number")
    try:
        # What was written, not the binary fraction next to it.
        micros = Decimal(repr(given)) * MICROS_PER_CREDIT
    except (InvalidOperation, ValueError) as exc:
        raise ParseError("cost must be a number") from exc
    if not micros.is_finite() or not 0 <= micros <= MAX_CREDITS * MICROS_PER_CREDIT:
        raise ParseError(f"cost must be from 0 to {MAX_CREDITS:,}")
    if micros != micros.to_integral_value():
        raise ParseError("cost has at most six decimal places")
    return int(micros)
