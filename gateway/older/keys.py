"""/auth/keys: the older gateways' routes for issuing keys, with their answers (reference 6.8) but for one thing: a key is told
in full only by the answer that makes it. Afterwards it is masked, and found by its public id as well as by itself."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import audited, keys, services
from accounts.models import ApiKey
from gateway.lib import credits
from gateway.lib.errors import UnknownRoute
from gateway.older.quota import figures_of, model_stats

_DEFAULT_QUOTA = Decimal(1000)


@extend_schema(exclude=True)
class OlderKeys(APIView):
    """For operators: by session, token or panel password."""

    scope = "keys"

    def get(self, request: Request) -> Response:
        rows = ApiKey.objects.filter(deleted_at=None).select_related("balance").order_by("pk")
        found = _told(rows)
        return Response({"total_keys": len(found), "keys": found})

    def post(self, request: Request) -> Response:
        asked = request.data if isinstance(request.data, dict) else {}
        try:
            with transaction.atomic():
                key, secret = services.issue_key(
                    quota_micros=_quota(asked.get("total_quota")),
                    description=_text(asked.get("description")),
                    actor=request.user.get_username(),
                )
                audited.issued(request._request, key)
        except ValidationError as exc:
            raise ParseError(" ".join(exc.messages)) from exc
        answer = {
            "api_key": secret,
            **figures_of(key),
            "created_at": key.created_at.isoformat(),
            "description": key.description,
        }
        return Response(answer, headers={"Cache-Control": "no-store"})


@extend_schema(exclude=True)
class OlderKey(APIView):
    """One of them, by the key itself, its public id, or as it is shown masked."""

    scope = "keys"

    def get(self, request: Request, named: str) -> Response:
        return Response(_told([_named(named)])[0])

    def delete(self, request: Request, named: str) -> Response:
        key = _named(named)
        with audited.changing(request._request, "delete", key):
            services.delete_key(key=key)
        return Response({"message": "API key deleted", "api_key": key.masked})


def _named(text: str) -> ApiKey:
    public_id = keys.public_id_of(text) or text.removeprefix(keys.PREFIX).rstrip("….")
    rows = ApiKey.objects.filter(public_id=public_id.replace("\0", ""), deleted_at=None)
    key = rows.select_related("balance").first()
    if key is None or (keys.public_id_of(text) and not keys.matches(text, key.digest)):
        raise UnknownRoute("API key not found")
    return key


def _told(rows: Iterable[ApiKey]) -> list[dict[str, Any]]:
    rows = list(rows)
    stats = model_stats([key.pk for key in rows])
    return [
        {
            "api_key": key.masked,
            **figures_of(key),
            "created_at": key.created_at.isoformat(),
            "description": key.description,
            "model_stats": stats.get(key.pk, {}),
        }
        for key in rows
    ]


def _quota(value: Any) -> int:
    """Micros. Raises ParseError, as the older gateways answered 400."""
    if value is None:
        value = _DEFAULT_QUOTA
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ParseError("total_quota must be a number greater than 0")
    try:
        # The text of a number is what was meant by it: 0.1 is no binary fraction.
        return credits.to_micros(credits.parse(str(value)))
    except ValueError as exc:
        raise ParseError(f"total_quota must be greater than 0: {exc}") from exc


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ParseError("description must be a text")
    return value.replace("\0", "").encode(errors="replace").decode()
