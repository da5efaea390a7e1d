"""What lists of prices and of multipliers share: which rows, at which moment, and how one ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import django_filters
from django.db.models import Model, QuerySet
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.filters import BaseFilterBackend
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.viewsets import GenericViewSet

from gateway.lib.api import Cursor
from quotas.models import Multiplier, Price
from quotas.selectors.prices import in_force, is_followed, upcoming, with_followed

_STATES = (
    ("current", "what counts at the moment of `at`, or now"),
    ("upcoming", "what begins later"),
    ("all", "the whole history"),
)


class DatedFilter(django_filters.FilterSet):  # type: ignore[misc]
    at = django_filters.IsoDateTimeFilter(
        method="leave", help_text="A moment, for state=current and upcoming; default: now."
    )
    state = django_filters.ChoiceFilter(
        choices=_STATES, method="leave", help_text="Default: current."
    )

    def leave(self, rows: QuerySet[Any], name: str, value: Any) -> QuerySet[Any]:
        """Both at once, in `filter_queryset`."""
        return rows

    def filter_queryset(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        rows = super().filter_queryset(rows)
        at = self.form.cleaned_data.get("at") or timezone.now()
        state = self.form.cleaned_data.get("state") or "current"
        if state == "current":
            return in_force(rows, at)
        return upcoming(rows, at) if state == "upcoming" else rows


class DatedSerializer(serializers.ModelSerializer[Any]):
    valid_from = serializers.DateTimeField(
        required=False, help_text="Now, where nothing is said; never in the past."
    )
    valid_until = serializers.DateTimeField(required=False, allow_null=True)
    state = serializers.SerializerMethodField()

    def get_state(self, row: Price | Multiplier) -> str:
        """current, upcoming, ended, followed or called_off"""
        return state_of(row, timezone.now())


def state_of(row: Price | Multiplier, now: datetime) -> str:
    if row.valid_until is not None and row.valid_until <= row.valid_from:
        return "called_off"
    if row.valid_from > now:
        return "upcoming"
    if row.valid_until is not None and row.valid_until <= now:
        return "ended"
    # Lists know it of all their rows.
    followed = getattr(row, "followed", None)
    if followed is None:
        followed = is_followed(row, now)
    return "followed" if followed else "current"


class EndSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="When it ends; null: now."
    )


class DatedViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet[Any]):
    scope = "prices"
    lookup_value_regex = "[0-9]{1,18}"
    pagination_class = Cursor
    filter_backends: Sequence[type[BaseFilterBackend]] = (DjangoFilterBackend,)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # Filters are for lists: a row that counts no more can be looked at too.
        if self.action != "list":
            return queryset
        return with_followed(super().filter_queryset(queryset), timezone.now())


def times_of(row: Model) -> dict[str, Any]:
    """For the audit log."""
    return {"valid_from": row.valid_from, "valid_until": row.valid_until}  # type: ignore[attr-defined]
