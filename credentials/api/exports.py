"""`POST /api/credentials/export`: credentials leave, for operators only. Each is recorded before its first byte."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as UnknownFilter
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from credentials.api.serializers import LARGEST_ID
from credentials.downloads import sent
from credentials.exporters import FORMATS
from credentials.filters import meant_by
from credentials.services import exporting
from credentials.states import State
from gateway.lib.access import IsOperator


class ExportSerializer(serializers.Serializer[Any]):
    """Give `ids` or `filter` (the names of the list's own query; `{}` means all that are lent)."""

    format = serializers.ChoiceField(
        choices=[(name, shape.TITLE) for name, shape in FORMATS.items()]
    )
    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=LARGEST_ID),
        required=False,
        allow_empty=False,
        max_length=100_000,
    )
    filter = serializers.DictField(required=False)
    password = serializers.CharField(
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="Locks the ZIP (AES); a backup is never without.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("ids" in attrs) == ("filter" in attrs):
            raise serializers.ValidationError("Give either ids or a filter.")
        return attrs


_BACKUP = OpenApiExample(
    "A backup of all",
    value={"format": "wellspring", "filter": {}, "password": "at least twelve characters"},
    request_only=True,
)


class Exports(APIView):
    """For operators."""

    permission_classes = (IsOperator,)
    scope = "exports"

    @extend_schema(
        request=ExportSerializer,
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
        examples=[_BACKUP],
    )
    def post(self, request: Request) -> HttpResponseBase:
        """A ZIP, or a text of API keys. What could not go is listed in the ZIP's `manifest.txt`. 429 after sixty an hour."""
        form = ExportSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        made = exporting.export(
            credential_ids=asked.get("ids") or _meant(asked["filter"]),
            format=asked["format"],
            actor=request.user.get_username(),
            password=asked.get("password", ""),
            address=request.META.get("REMOTE_ADDR") or "",
        )
        return sent(made)


def _meant(filters: dict[str, Any]) -> list[int]:
    try:
        rows = meant_by(filters).exclude(state=State.WITHDRAWN)
    except UnknownFilter as exc:
        raise ValidationError({"filter": exc.messages}) from None
    return list(rows.values_list("pk", flat=True))
