"""/api/audit: who changed what, when, from where. Operators only; nobody writes to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import StreamingHttpResponse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.filters import BaseFilterBackend
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from gateway.dashboard.audit import AuditFilter
from gateway.lib.api import Cursor
from gateway.lib.audit import AuditEntry
from gateway.lib.tables import csv_response

_COLUMNS = ("id", "at", "actor", "address", "action", "subject", "before", "after", "detail")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A key got more credits",
            value={
                "id": 812,
                "at": "2026-11-20T08:15:00Z",
                "actor": "alice",
                "address": "203.0.113.7",
                "action": "keys.edit",
                "subject": "key Ab3xYz90QwEr",
                "before": {"total": "10"},
                "after": {"total": "50"},
                "detail": {"token_name": "nightly report"},
            },
            response_only=True,
        )
    ]
)
class AuditSerializer(serializers.ModelSerializer[AuditEntry]):
    before = serializers.DictField(help_text="What differed, as it was; a secret as …")
    after = serializers.DictField(help_text="The same as it is since.")
    detail = serializers.DictField(help_text="Counts, names and filters.")

    class Meta:
        model = AuditEntry
        fields = _COLUMNS
        read_only_fields = fields


class Audit(ListModelMixin, RetrieveModelMixin, GenericViewSet[AuditEntry]):
    """For operators."""

    queryset = AuditEntry.objects.all()
    scope = "audit"
    serializer_class = AuditSerializer
    pagination_class = Cursor
    filter_backends: Sequence[type[BaseFilterBackend]] = (DjangoFilterBackend,)
    filterset_class = AuditFilter
    lookup_value_regex = r"\d{1,18}"

    @extend_schema(operation_id="audit_csv", responses={(200, "text/csv"): OpenApiTypes.STR})
    def csv(self, request: Request) -> StreamingHttpResponse:
        """All that the filters leave, newest first."""
        rows = self.filter_queryset(self.get_queryset()).order_by("-pk")
        return csv_response(request._request, "audit.csv", _COLUMNS, _lines(rows.iterator(500)))


def _lines(rows: Iterator[AuditEntry]) -> Iterator[list[Any]]:
    for row in rows:
        line = [getattr(row, name) for name in _COLUMNS]
        line[1] = row.at.isoformat()
        yield [
            json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
            if isinstance(value, dict)
            else value
            for value in line
        ]
