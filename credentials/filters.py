"""Which credentials are meant: the same names in the API's query, on the page and in a bulk action."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import (
    Case,
    Exists,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast, StrIndex
from django.http import QueryDict
from django.utils import timezone

from credentials.caps import upstream_day
from credentials.models import (
    CREDENTIAL_STATES,
    MODEL_STATES,
    Credential,
    DailyUse,
    ModelState,
    Provider,
)
from credentials.states import RESTING, State

ATTENTION = (State.NEEDS_ATTENTION, State.EXPIRED)
"""States that only a person can end."""

ORDERS = {
    "attention": "what needs a person first",
    "label": "label",
    "-created_at": "newest first",
    "created_at": "oldest first",
    "-updated_at": "last changed first",
    "state_until": "next to come back first",
    "-weight": "heaviest first",
    "id": "number",
}
"""What `ordering` may be, and what it says on the page."""

_RANKS = {
    State.NEEDS_ATTENTION: 0,
    State.EXPIRED: 1,
    State.EXHAUSTED: 2,
    State.COOLING: 3,
    State.ACTIVE: 4,
    State.DISABLED: 5,
    State.WITHDRAWN: 6,
}


def serving() -> Q:
    """Active, or rested; not paused. Hours and counted caps are not looked at."""
    rested = Q(state__in=RESTING, state_until__lte=timezone.now())
    return (Q(state=State.ACTIVE) | rested) & Q(paused_at=None)


def capped() -> Q:
    """Its contributor limits it in some way."""
    return (
        Q(calls_a_day__isnull=False)
        | ~Q(model_calls_a_day={})
        | Q(hours_from__isnull=False)
        | ~Q(allowed_models=[])
        | Q(stop_below_percent__isnull=False)
    )


class CredentialFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Without `state`, those that were withdrawn are left out."""

    provider = django_filters.MultipleChoiceFilter(choices=Provider.choices)
    state = django_filters.MultipleChoiceFilter(choices=CREDENTIAL_STATES)
    reason = django_filters.CharFilter(
        method="of_reason",
        help_text="As in `reason`, such as subscription_required; several with commas; `none` for without.",
    )
    attention = django_filters.BooleanFilter(
        method="of_attention", help_text="Only a person can mend it."
    )
    usable = django_filters.BooleanFilter(
        method="of_usable", help_text="Could take a call now; hours and counted caps aside."
    )
    paused = django_filters.BooleanFilter(
        field_name="paused_at", lookup_expr="isnull", exclude=True
    )
    capped = django_filters.BooleanFilter(method="of_capped", help_text="Has a cap of any kind.")
    tag = django_filters.CharFilter(method="of_tag")
    contributor = django_filters.CharFilter(
        method="of_contributor", help_text="The contributor's public id, or `none`."
    )
    model = django_filters.CharFilter(
        method="of_model", help_text="Rests for this model now; see `model_state`."
    )
    model_state = django_filters.ChoiceFilter(choices=MODEL_STATES, method="beside_model")
    error = django_filters.NumberFilter(
        method="of_error", help_text="Met this HTTP status since yesterday."
    )
    preview = django_filters.BooleanFilter(help_text="Whether it may use preview models.")
    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")
    used_after = django_filters.DateFilter(
        method="of_used_after", help_text="Took a call on this day or later."
    )
    unused_since = django_filters.DateFilter(
        method="of_unused_since", help_text="Took no call on this day or later."
    )
    q = django_filters.CharFilter(
        method="of_text", help_text="In label, e-mail, project, file name or contributor's name."
    )
    ordering = django_filters.ChoiceFilter(
        choices=list(ORDERS.items()), method="beside_model", empty_label=None
    )

    class Meta:
        model = Credential
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Credential]) -> QuerySet[Credential]:
        cleaned = self.form.cleaned_data
        if not cleaned.get("state"):
            queryset = queryset.exclude(state=State.WITHDRAWN)
        return ordered(super().filter_queryset(queryset), cleaned.get("ordering") or "attention")

    def of_reason(self, rows: Any, name: str, value: str) -> Any:
        reasons = ["" if one == "none" else one for one in value.split(",")]
        return rows.filter(state_reason__in=reasons)

    def of_attention(self, rows: Any, name: str, value: bool) -> Any:
        return rows.filter(state__in=ATTENTION) if value else rows.exclude(state__in=ATTENTION)

    def of_usable(self, rows: Any, name: str, value: bool) -> Any:
        return rows.filter(serving() if value else ~serving())

    def of_capped(self, rows: Any, name: str, value: bool) -> Any:
        return rows.filter(capped() if value else ~capped())

    def of_tag(self, rows: Any, name: str, value: str) -> Any:
        # JSON as text: SQLite writes it in ASCII, PostgreSQL does not. Not `contains`: SQLite's knows no case.
        texts = {json.dumps(value), json.dumps(value, ensure_ascii=False)}
        places = [StrIndex(Cast("tags", TextField()), Value(text)) for text in sorted(texts)]
        return rows.alias(place=sum(places, Value(0))).filter(place__gt=0)

    def of_contributor(self, rows: Any, name: str, value: str) -> Any:
        if value == "none":
            return rows.filter(contributor=None)
        return rows.filter(contributor__public_id=value)

    def of_model(self, rows: Any, name: str, value: str) -> Any:
        states = ModelState.objects.filter(credential=OuterRef("pk"), model=value)
        if state := self.form.cleaned_data.get("model_state"):
            states = states.filter(state=state)
        else:
            states = states.exclude(state=State.ACTIVE).filter(until__gt=timezone.now())
        return rows.filter(Exists(states))

    def beside_model(self, rows: Any, name: str, value: str) -> Any:
        """Read where it is needed: by `of_model`, and for the order."""
        return rows

    def of_error(self, rows: Any, name: str, value: Any) -> Any:
        yesterday = upstream_day(time.time()) - timedelta(days=1)
        met = DailyUse.objects.filter(
            credential=OuterRef("pk"), day__gte=yesterday, status=int(value)
        )
        return rows.filter(Exists(met))

    def of_used_after(self, rows: Any, name: str, value: Any) -> Any:
        return rows.filter(Exists(_uses_since(value)))

    def of_unused_since(self, rows: Any, name: str, value: Any) -> Any:
        return rows.filter(~Exists(_uses_since(value)))

    def of_text(self, rows: Any, name: str, value: str) -> Any:
        return rows.filter(
            Q(label__icontains=value)
            | Q(email__icontains=value)
            | Q(project_id__icontains=value)
            | Q(name__icontains=value)
            | Q(contributor__name__icontains=value)
        )


def _uses_since(day: Any) -> QuerySet[DailyUse]:
    return DailyUse.objects.filter(credential=OuterRef("pk"), day__gte=day)


def ordered(rows: QuerySet[Credential], order: str) -> QuerySet[Credential]:
    """Always the same order: where it leaves two rows even, their numbers decide."""
    if order == "attention":
        ranks = [When(state=state, then=rank) for state, rank in _RANKS.items()]
        rank = Case(*ranks, default=4, output_field=IntegerField())
        return rows.order_by(rank, "state_reason", "label", "pk")
    return rows.order_by("pk") if order == "id" else rows.order_by(order, "pk")


def meant_by(query: Any) -> QuerySet[Credential]:
    """The rows that a filter means. Raises ValidationError for a name or a value it does not know, or an empty one, as a
    bulk action on a misspelt filter, or with a variable that was not set, would hit every row.
    """
    data = query if isinstance(query, QueryDict) else _as_query(query)
    known = set(CredentialFilter.base_filters)
    if unknown := sorted(set(data) - known):
        raise ValidationError(
            f"There is no filter “{unknown[0]}”. Known are: {', '.join(sorted(known))}."
        )
    filters = CredentialFilter(data, queryset=Credential.objects.all())
    if not filters.is_valid():
        name, errors = next(iter(filters.errors.items()))
        raise ValidationError(f"{name}: {' '.join(map(str, errors))}")
    for name in data:
        if filters.form.cleaned_data[name] in (None, "", []):
            raise ValidationError(f"{name}: there is no such value, so it would mean all of them.")
    if "model_state" in data and "model" not in data:
        raise ValidationError("model_state: say which model with `model`.")
    rows: QuerySet[Credential] = filters.qs
    return rows


def _as_query(filters: dict[str, Any]) -> QueryDict:
    query = QueryDict(mutable=True)
    for name, value in filters.items():
        query.setlist(
            name, [_as_text(one) for one in (value if isinstance(value, list) else [value])]
        )
    return query


def _as_text(value: Any) -> str:
    """As it would stand in a URL; nothing for null. Half a surrogate pair fits into no database."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    return str(value).encode(errors="replace").decode()
