"""Which keys are meant: the same names in the API's query, on the page, in a bulk action and in the CSV file."""

from __future__ import annotations

from typing import Any

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, StrIndex
from django.http import QueryDict
from django.utils import timezone

from accounts.keys import PREFIX
from accounts.models import ApiKey
from quotas.models import Limits

STATES = {
    "active": "active",
    "paused": "switched off",
    "expired": "expired",
    "revoked": "revoked",
    "deleted": "deleted",
    "waiting": "not fetched yet",
}
"""What `state` may be, and what it says on the page. A key that waits to be fetched is in another state too."""

NOBODY = "none"
_LONGEST_NUMBER = 18


def in_state(state: str) -> Q:
    """As `ApiKey.state_at` says."""
    now = timezone.now()
    there = Q(deleted_at=None)
    unrevoked = there & Q(revoked_at=None)
    unexpired = unrevoked & (Q(expires_at=None) | Q(expires_at__gt=now))
    return {
        "deleted": Q(deleted_at__isnull=False),
        "revoked": there & Q(revoked_at__isnull=False),
        "expired": unrevoked & Q(expires_at__lte=now),
        "paused": unexpired & Q(is_active=False),
        "active": unexpired & Q(is_active=True),
        "waiting": unrevoked & Q(claim__isnull=False, claim__claimed_at=None),
    }[state]


class KeyFilter(django_filters.FilterSet):  # type: ignore[misc]
    q = django_filters.CharFilter(
        method="search", help_text="In description, public id and the owner's name."
    )
    owner = django_filters.CharFilter(
        method="of_owner", help_text="A person's id or name, or none for keys of nobody."
    )
    group = django_filters.CharFilter(
        method="of_group", help_text="A group's id or name, or none for keys that name no group."
    )
    state = django_filters.MultipleChoiceFilter(
        choices=tuple(STATES.items()),
        method="having_state",
        help_text="Without it, all that are not deleted.",
    )
    model = django_filters.CharFilter(
        method="naming_model", help_text="A name or glob that stands in its allowed models."
    )
    exhausted = django_filters.BooleanFilter(method="used_up", help_text="Nothing is left of it.")
    unused = django_filters.BooleanFilter(
        field_name="last_used_at", lookup_expr="isnull", help_text="Nobody ever called with it."
    )
    expires_before = django_filters.IsoDateTimeFilter(field_name="expires_at", lookup_expr="lt")
    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    used_after = django_filters.IsoDateTimeFilter(field_name="last_used_at", lookup_expr="gte")

    class Meta:
        model = ApiKey
        fields = ()

    def search(self, rows: QuerySet[ApiKey], name: str, text: str) -> QuerySet[ApiKey]:
        # Pasted as it is shown, or whole: no more of a key is looked at than its public id.
        public_id = text.removeprefix(PREFIX)[: ApiKey._meta.get_field("public_id").max_length]
        return rows.filter(
            Q(public_id__startswith=public_id.rstrip("…") or text)
            | Q(description__icontains=text)
            | Q(owner__username__icontains=text)
        )

    def of_owner(self, rows: QuerySet[ApiKey], name: str, text: str) -> QuerySet[ApiKey]:
        return rows.filter(_whose("owner", "username", text))

    def of_group(self, rows: QuerySet[ApiKey], name: str, text: str) -> QuerySet[ApiKey]:
        return rows.filter(_whose("group", "name", text))

    def having_state(self, rows: QuerySet[ApiKey], name: str, states: list[str]) -> Any:
        meant = Q()
        for state in states:
            meant |= in_state(state)
        return rows.filter(meant)

    def naming_model(self, rows: QuerySet[ApiKey], name: str, text: str) -> QuerySet[ApiKey]:
        # A list of names as JSON: the whole name stands there between quotation marks.
        listed = Limits.objects.annotate(
            at=StrIndex(Cast("allowed_models", TextField()), Value(f'"{text}"'))
        )
        return rows.filter(limits__in=listed.filter(at__gt=0))

    def used_up(self, rows: QuerySet[ApiKey], name: str, wanted: bool) -> QuerySet[ApiKey]:
        nothing_left = Q(balance__open_ended=False, balance__remaining_micros__lte=0)
        return rows.filter(nothing_left if wanted else ~nothing_left)

    def filter_queryset(self, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        rows: QuerySet[ApiKey] = super().filter_queryset(queryset)
        return rows if self.form.cleaned_data.get("state") else rows.filter(deleted_at=None)


def meant_by(query: QueryDict) -> QuerySet[ApiKey]:
    """The keys that a filter means. Raises ValidationError, in words, for one that cannot be read."""
    filters = KeyFilter(query, queryset=ApiKey.objects.all())
    if not filters.is_valid():
        raise ValidationError(
            [f"{name}: {error}" for name, errors in filters.errors.items() for error in errors]
        )
    rows: QuerySet[ApiKey] = filters.qs
    return rows


def filter_of(query: QueryDict) -> QueryDict:
    """Only what filters, and only what says something."""
    kept = QueryDict(mutable=True)
    for name in KeyFilter.base_filters:
        if values := [value for value in query.getlist(name) if value.strip()]:
            kept.setlist(name, values)
    return kept


def _whose(field: str, name: str, text: str) -> Q:
    if text.lower() == NOBODY:
        return Q(**{field: None})
    named = Q(**{f"{field}__{name}__iexact": text})
    if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER:
        named |= Q(**{f"{field}_id": int(text)})
    return named
