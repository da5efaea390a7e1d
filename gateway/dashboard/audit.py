"""What the audit page and /api/audit show: who did what, newest first, and the filters both know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from msgspec import Struct

from gateway.lib.audit import AuditEntry

A_PAGE = 50
_NOTHING = "–"
_LONGEST = 160


class AuditFilter(django_filters.FilterSet):  # type: ignore[misc]
    actor = django_filters.CharFilter(help_text="A user name, panel-password, or contributor <id>.")
    action = django_filters.CharFilter(
        method="by_action", help_text="For example keys.rotate; keys. is all that is about keys."
    )
    subject = django_filters.CharFilter(help_text="For example key Ab3xYz90QwEr.")
    address = django_filters.CharFilter()
    since = django_filters.IsoDateTimeFilter("at", "gte")
    until = django_filters.IsoDateTimeFilter("at", "lt")
    search = django_filters.CharFilter(
        method="with_text", help_text="In actor, action and subject."
    )

    class Meta:
        model = AuditEntry
        fields = ("actor", "action", "subject", "address", "since", "until", "search")

    def by_action(self, rows: QuerySet[AuditEntry], name: str, action: str) -> QuerySet[AuditEntry]:
        if action.endswith("."):
            return rows.filter(action__startswith=action)
        return rows.filter(action=action)

    def with_text(self, rows: QuerySet[AuditEntry], name: str, text: str) -> QuerySet[AuditEntry]:
        return rows.filter(
            Q(actor__icontains=text) | Q(action__icontains=text) | Q(subject__icontains=text)
        )


class AuditForm(forms.Form):
    """The page's filters; days are the site's."""

    search = forms.CharField(required=False, max_length=200)
    actor = forms.CharField(required=False, max_length=150)
    action = forms.CharField(required=False, max_length=60)
    subject = forms.CharField(required=False, max_length=200)


class Line(Struct, frozen=True):
    """One changed field, or one note, for people."""

    name: str
    before: str
    after: str
    note: bool = False


class Shown(Struct, frozen=True):
    entry: AuditEntry
    lines: list[Line]


class Page(Struct, frozen=True):
    """`older`: what `before` asks for on the next page; 0 at the end."""

    shown: list[Shown]
    older: int


def page(asked: dict[str, str], before: int) -> Page:
    """The newest below the entry `before` that the filters leave; 0 begins with the newest."""
    rows = AuditFilter(asked, queryset=AuditEntry.objects.order_by("-pk")).qs
    if before:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: A_PAGE + 1])
    more = len(found) > A_PAGE
    found = found[:A_PAGE]
    return Page([Shown(entry, list(_lines(entry))) for entry in found], found[-1].pk if more else 0)


def _lines(entry: AuditEntry) -> Iterator[Line]:
    made = not entry.before
    for name in {**entry.before, **entry.after}:
        before, after = _text(entry.before.get(name)), _text(entry.after.get(name))
        # Of something new, what it does not have says nothing.
        if before != after:
            yield Line(name, "" if made else before, after, note=made)
    for name, value in entry.detail.items():
        if value not in (None, "", [], {}):
            yield Line(name, "", _text(value), note=True)


def _text(value: Any) -> str:
    if value is None or value == "":
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        text = ", ".join(_text(one) for one in value) or _NOTHING
    elif isinstance(value, dict):
        text = ", ".join(f"{name}: {_text(one)}" for name, one in value.items()) or _NOTHING
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
