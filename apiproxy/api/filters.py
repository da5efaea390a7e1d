"""Which requests are meant: the same names in the list, its CSV and a member's own list."""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet

from apiproxy.models import RequestLog
from apiproxy.selectors.requests import between

_CLASSES = {
    "success": (0, 399),
    "error": (400, 999),
    "4xx": (400, 499),
    "5xx": (500, 599),
}
# Of the request log there is an index by each of these and the number.
_INDEXED = frozenset({"key", "user", "model", "credential", "request_id"})


class _Number(django_filters.NumberFilter):  # type: ignore[misc]
    """A whole number; the framework's own takes 1.5 and NaN too."""

    field_class = forms.IntegerField

    def get_max_validator(self) -> None:
        return None


def _id(column: str, words: str) -> Any:
    return _Number(field_name=column, help_text=words, min_value=0, max_value=2**63 - 1)


class RequestFilter(django_filters.FilterSet):  # type: ignore[misc]
    key = _id("key_id", "The key's number.")
    user = _id("owner_id", "The number of the key's owner, when the call was made.")
    group = _id("group_id", "The number of the group, when the call was made.")
    credential = _id("credential_id", "The number of the lent credential that was asked last.")
    model = django_filters.CharFilter(help_text="As it was answered, without variants.")
    dialect = django_filters.CharFilter(help_text="For example openai-chat.")
    status = _Number(min_value=100, max_value=999, method="of_status")
    status_class = django_filters.ChoiceFilter(
        choices=[(name, name) for name in _CLASSES], method="of_class"
    )
    error_code = django_filters.CharFilter(
        method="of_error_code", help_text="For example rate_limit_exceeded."
    )
    request_id = django_filters.CharFilter(help_text="The whole id.")
    since = django_filters.IsoDateTimeFilter(
        method="beside_until", help_text="Began then or later."
    )
    until = django_filters.IsoDateTimeFilter(method="beside_until", help_text="Began before.")
    charged = django_filters.BooleanFilter(
        method="of_charged", help_text="true: it cost credits; false: it was free."
    )
    stream = django_filters.BooleanFilter()

    class Meta:
        model = RequestLog
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[RequestLog]) -> QuerySet[RequestLog]:
        cleaned = self.form.cleaned_data
        found = super().filter_queryset(queryset)
        return between(found, cleaned.get("since"), cleaned.get("until"))

    @property
    def indexed(self) -> bool:
        """One index answers it; see apiproxy/selectors/requests.py."""
        asked = {name for name, value in self.form.cleaned_data.items() if value not in (None, "")}
        return not asked or (len(asked) == 1 and asked <= _INDEXED)

    def of_status(self, rows: Any, name: str, value: Any) -> Any:
        return _failed(rows, int(value)).filter(status=int(value))

    def of_class(self, rows: Any, name: str, value: str) -> Any:
        low, high = _CLASSES[value]
        return _failed(rows, low).filter(status__gte=low, status__lte=high)

    def of_error_code(self, rows: Any, name: str, value: str) -> Any:
        return _failed(rows, 400).filter(error_code=value)

    def of_charged(self, rows: Any, name: str, value: bool) -> Any:
        return rows.filter(cost_micros__gt=0) if value else rows.filter(cost_micros=0)

    def beside_until(self, rows: Any, name: str, value: Any) -> Any:
        """Read together, by `filter_queryset`."""
        return rows


class OwnRequestFilter(RequestFilter):
    user = None
    group = None
    credential = None

    @property
    def indexed(self) -> bool:
        """The index of owners, where nothing else is asked; or a whole id."""
        asked = {name for name, value in self.form.cleaned_data.items() if value not in (None, "")}
        return asked <= {"request_id"}


def _failed(rows: Any, status: int) -> Any:
    """In the words of the index of those that failed."""
    return rows.filter(status__gte=400) if status >= 400 else rows
