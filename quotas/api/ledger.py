"""/api/ledger: every movement of credits. Operators see all; `/api/my/ledger` is what moved on one's own wallet and keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.http import StreamingHttpResponse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.filters import BaseFilterBackend
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from gateway.lib.access import IsSignedIn
from gateway.lib.api import Cursor
from gateway.lib.credits import to_text
from gateway.lib.tables import csv_response
from quotas.api.limits import CreditsField
from quotas.models import Balance, Entry

_MOST_ID = 2**63 - 1
_HEADER = (
    "id",
    "at",
    "balance",
    "label",
    "kind",
    "credits",
    "reserved",
    "request_id",
    "reason",
    "by",
)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A call that cost two of the ten that were reserved",
            value={
                "id": 9120,
                "balance": 17,
                "label": "sk-Ab3x…",
                "kind": "settle",
                "credits": "2",
                "reserved_credits": "10",
                "request_id": "req_7f0c2b",
                "reason": "answered",
                "actor": "",
                "created_at": "2026-11-20T08:00:00Z",
            },
            response_only=True,
        )
    ]
)
class EntrySerializer(serializers.ModelSerializer[Entry]):
    label = serializers.CharField(  # type: ignore[assignment]
        source="balance.label", help_text="Whose balance it is."
    )
    credits = CreditsField(
        source="amount_micros",
        help_text="What settle used; what any other kind added to the total, below zero what it took.",
    )
    reserved_credits = CreditsField(
        source="reserved_micros",
        help_text="What a settle or refund had reserved; the rest went back.",
    )

    class Meta:
        model = Entry
        fields = (
            "id",
            "balance",
            "label",
            "kind",
            "credits",
            "reserved_credits",
            "request_id",
            "reason",
            "actor",
            "created_at",
        )
        read_only_fields = fields


class EntryFilter(django_filters.FilterSet):  # type: ignore[misc]
    balance = django_filters.NumberFilter("balance", min_value=0, max_value=_MOST_ID)
    key = django_filters.CharFilter(
        "key__public_id", method="of_balances", help_text="A key's public id."
    )
    user = django_filters.CharFilter(
        "user__username", method="of_balances", help_text="A user name: their wallet."
    )
    group = django_filters.CharFilter(
        "group__name", method="of_balances", help_text="A group's name."
    )
    kind = django_filters.MultipleChoiceFilter(choices=Entry.Kind.choices)
    request_id = django_filters.CharFilter("request_id")
    since = django_filters.IsoDateTimeFilter("created_at", lookup_expr="gte")
    until = django_filters.IsoDateTimeFilter("created_at", lookup_expr="lt")

    class Meta:
        model = Entry
        fields = ("balance", "key", "user", "group", "kind", "request_id", "since", "until")

    def of_balances(self, rows: QuerySet[Entry], name: str, value: str) -> QuerySet[Entry]:
        return _on(rows, Balance.objects.filter(**{name: value}))


class _Entries(ListModelMixin, GenericViewSet[Entry]):
    queryset = Entry.objects.select_related("balance")
    scope = "ledger"
    serializer_class = EntrySerializer
    pagination_class = Cursor
    filter_backends: Sequence[type[BaseFilterBackend]] = (DjangoFilterBackend,)
    filterset_class = EntryFilter

    @extend_schema(responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR)})
    @action(detail=False, methods=["get"], url_path="csv", pagination_class=None)
    def as_csv(self, request: Request) -> StreamingHttpResponse:
        """All that the filters leave, newest first, as a table."""
        rows = self.filter_queryset(self.get_queryset()).order_by("-id")
        # A day that no column holds is refused now: once the head has gone out it is too late.
        rows.exists()
        return csv_response(request._request, "ledger.csv", _HEADER, _lines(rows))


class Ledger(_Entries):
    """For operators, newest first."""


class MyLedger(_Entries):
    """Of one's own wallet and keys, newest first."""

    permission_classes = (IsSignedIn,)

    def get_queryset(self) -> QuerySet[Entry]:
        me = self.request.user.pk
        if me is None:
            # The panel password is nobody.
            return super().get_queryset().none()
        return _on(super().get_queryset(), Balance.objects.filter(Q(user=me) | Q(key__owner=me)))


def _on(rows: QuerySet[Entry], balances: QuerySet[Balance]) -> QuerySet[Entry]:
    """Looked up first: a join would make the databases read the whole ledger from its end."""
    return rows.filter(balance__in=list(balances.values_list("pk", flat=True)))


def _lines(rows: QuerySet[Entry]) -> Iterator[tuple[Any, ...]]:
    for entry in rows.iterator(chunk_size=500):
        yield (
            entry.pk,
            entry.created_at.isoformat(),
            entry.balance_id,
            entry.balance.label,
            entry.kind,
            # Numbers: a text that begins with a minus is not added up.
            Decimal(to_text(entry.amount_micros)),
            Decimal(to_text(entry.reserved_micros)),
            entry.request_id,
            entry.reason,
            entry.actor,
        )
