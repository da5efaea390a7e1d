"""What those who manage the pool read of its contributors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, F, Q, Sum
from msgspec import Struct

from credentials.filters import ATTENTION, serving
from credentials.models import Contributor, Credential, DailyUse, Notice
from credentials.selectors import usage
from credentials.states import State


class Figures(Struct):
    contributor: Contributor
    username: str
    told_by: list[str]
    lent: int = 0
    usable: int = 0
    attention: int = 0
    withdrawn: int = 0
    served: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    notices_open: int = 0
    notices_unsent: int = 0


def described(rows: Iterable[Contributor]) -> list[Figures]:
    """In the order given; three queries however many there are. Give the rows with their `user`."""
    figures = {
        row.pk: Figures(
            contributor=row,
            username=row.user.get_username() if row.user else "",
            told_by=[name for name, has in (("email", row.email), ("webhook", row.webhook)) if has],
        )
        for row in rows
    }
    for facts in (*_lent(figures), *_served(figures), *_notices(figures)):
        one = figures[facts.pop("by")]
        for name, value in facts.items():
            setattr(one, name, value)
    return list(figures.values())


def _lent(contributors: Iterable[int]) -> Any:
    withdrawn = Q(state=State.WITHDRAWN)
    return (
        Credential.objects.filter(contributor__in=list(contributors))
        .values(by=F("contributor"))
        .annotate(
            lent=Count("pk", filter=~withdrawn),
            usable=Count("pk", filter=serving()),
            attention=Count("pk", filter=Q(state__in=ATTENTION)),
            withdrawn=Count("pk", filter=withdrawn),
        )
        .order_by()
    )


def _served(contributors: Iterable[int]) -> Any:
    return (
        DailyUse.objects.filter(credential__contributor__in=list(contributors), status=usage.SERVED)
        .values(by=F("credential__contributor"))
        .annotate(
            served=Sum("calls"),
            input_tokens=Sum("input_tokens"),
            output_tokens=Sum("output_tokens"),
        )
        .order_by()
    )


def _notices(contributors: Iterable[int]) -> Any:
    return (
        Notice.objects.filter(credential__contributor__in=list(contributors), closed_at=None)
        .values(by=F("credential__contributor"))
        .annotate(notices_open=Count("pk"), notices_unsent=Count("pk", filter=Q(sent_at=None)))
        .order_by()
    )
