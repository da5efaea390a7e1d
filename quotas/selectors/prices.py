"""Prices: the book that the proxy reads, and rows for the API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from math import inf
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from quotas import pricing
from quotas.models import Multiplier, Price
from quotas.pricing import Dated, PriceBook, PriceList

_COUNTS = Q(valid_until=None) | Q(valid_until__gt=F("valid_from"))
"""Not called off."""


_SET_BACK = timedelta(days=1)
"""By as much a clock may be set back before a book that was read earlier knows no prices for what it shows then."""


def price_book(since: datetime | None = None) -> PriceBook:
    """All that counts from `since` on; None: from a day ago on. The past, which may be long, is left out."""
    since = since or timezone.now() - _SET_BACK
    rows: list[Dated] = list(_dated_prices(in_force(Price.objects.all(), since, later=True)))
    factors = in_force(Multiplier.objects.all(), since, later=True)
    for order, one in enumerate(factors.order_by("pk")):
        rows.append(
            Dated(
                one.valid_from.timestamp(),
                _until(one),
                order,
                feature=one.feature,
                factor=Fraction(one.factor),
            )
        )
    return PriceBook(rows)


def price_list(at: datetime | None = None) -> PriceList:
    """What counted then; None: what counts now."""
    at = at or timezone.now()
    return price_book(at).list_at(at.timestamp())


def _dated_prices(rows: QuerySet[Price]) -> Iterator[Dated]:
    for order, row in enumerate(rows.order_by("pk")):
        yield Dated(
            row.valid_from.timestamp(), _until(row), order, tariff=row.tariff, price=as_price(row)
        )


def as_price(row: Price) -> pricing.Price:
    return pricing.Price(
        pattern=row.pattern,
        per_call_micros=row.per_call_micros,
        input_micros_per_million=row.input_micros_per_million,
        cached_micros_per_million=row.cached_micros_per_million,
        output_micros_per_million=row.output_micros_per_million,
        thinking_micros_per_million=row.thinking_micros_per_million,
    )


def _until(row: Price | Multiplier) -> float:
    return row.valid_until.timestamp() if row.valid_until else inf


def in_force(rows: QuerySet[Any], at: datetime, *, later: bool = False) -> QuerySet[Any]:
    """Those that counted at that moment, by the rules of quotas/pricing.py; `later`: and those that count afterwards."""
    followed = _followers(rows).filter(valid_from__lte=at)
    begun = Q() if later else Q(valid_from__lte=at)
    return rows.filter(
        begun, _COUNTS, Q(valid_until=None) | Q(valid_until__gt=at), ~Exists(followed)
    )


def upcoming(rows: QuerySet[Any], at: datetime) -> QuerySet[Any]:
    return rows.filter(_COUNTS, valid_from__gt=at)


def with_followed(rows: QuerySet[Any], at: datetime) -> QuerySet[Any]:
    """Each with `followed`: whether another has taken its place."""
    found: QuerySet[Any] = rows.annotate(
        followed=Exists(_followers(rows).filter(valid_from__lte=at))
    )
    return found


def is_followed(row: Price | Multiplier, at: datetime) -> bool:
    """Another has taken its place."""
    rows = type(row)._default_manager.filter(pk=row.pk)
    return bool(with_followed(rows, at).filter(followed=True).exists())


def _followers(rows: QuerySet[Any]) -> QuerySet[Any]:
    names = ("tariff", "pattern") if rows.model is Price else ("feature",)
    same = {name: OuterRef(name) for name in names}
    others: QuerySet[Any] = rows.model._default_manager.filter(
        _COUNTS, valid_from__gt=OuterRef("valid_from"), **same
    )
    return others
