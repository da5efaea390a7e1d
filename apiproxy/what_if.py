"""What past calls would have cost at other prices.

One grouped query adds up what the request log says of a time; the prices asked about are then put on the sums. That is exact but
for rounding: each call is rounded up to a whole micro by itself, a sum once. The prices are those in force now with the changes
laid over them, as if they had counted all that time; groups pay the factor they have now.

What failed or was never charged costs nothing at any price: calls that delivered nothing, counting tokens, callers without a key
of their own. A broken answer costs its tokens alone, as it did.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    Count,
    F,
    IntegerField,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from msgspec import Struct

from accounts.selectors import names_of, price_factors
from apiproxy.models import RequestLog
from apiproxy.wire.types import Action
from quotas.pricing import ONE, Dated, PriceBook, PriceList, cost_of_many

MOST_LISTED = 20

_CLIENT_GONE = 499
_GROUPED = ("key_id", "group_id", "model", "features", "tariff", "cut", "paid")


class Sums(Struct):
    """`was` is what was charged, `would_be` what it would be: micros."""

    requests: int = 0
    was_micros: int = 0
    would_be_micros: int = 0

    def add(self, requests: int, was_micros: int, would_be_micros: int) -> None:
        self.requests += requests
        self.was_micros += was_micros
        self.would_be_micros += would_be_micros


class Named(Struct):
    name: str
    sums: Sums
    id: int = 0


class Answer(Struct):
    """`uncharged`: requests that cost nothing at any price. `unpriced`: those among the others that no price fits, which would be
    free. Models and keys: those first for which it would make the most difference."""

    total: Sums
    uncharged: int
    unpriced: int
    by_model: list[Named]
    by_key: list[Named]


def what_if(
    *,
    since: datetime,
    until: datetime,
    book: PriceBook,
    now: float,
    changes: Iterable[Dated] = (),
    tariff: str | None = None,
) -> Answer:
    """`tariff`: all calls are priced by that one; None: each by its own."""
    prices = book.list_at(now, changes)
    factors = price_factors()
    total, uncharged, unpriced = Sums(), 0, 0
    models: dict[str, Sums] = defaultdict(Sums)
    keys: dict[int, Sums] = defaultdict(Sums)
    for key_id, group_id, model, features, own, cut, paid, *sums in _sums(since, until):
        requests, answers, fresh, cached, output, thinking, was = sums
        if not paid:
            uncharged += requests
            continue
        price = _price(prices, model, features, own if tariff is None else tariff)
        if not price.pattern:
            unpriced += requests
        factor = factors.get(group_id, ONE)
        would_be = cost_of_many(
            price,
            calls=0 if cut else answers,
            fresh_tokens=fresh,
            cached_tokens=cached,
            output_tokens=output,
            thinking_tokens=thinking,
            factor=factor,
        )
        for one in (total, models[model], keys[key_id]):
            one.add(requests, was, would_be)
    listed = _most(keys)
    names = names_of("key", listed)
    return Answer(
        total=total,
        uncharged=uncharged,
        unpriced=unpriced,
        by_model=[Named(model, models[model]) for model in _most(models)],
        by_key=[Named(names.get(pk, f"key {pk}"), keys[pk], pk) for pk in listed],
    )


def _price(prices: PriceList, model: str, features: str, tariff: str) -> Any:
    return prices.of(model, _split(features), tariff)


@lru_cache(maxsize=512)
def _split(features: str) -> tuple[str, ...]:
    return tuple(features.split(",")) if features else ()


def _most(found: dict[Any, Sums]) -> list[Any]:
    def difference(name: Any) -> tuple[int, int]:
        sums = found[name]
        return abs(sums.would_be_micros - sums.was_micros), sums.was_micros

    return sorted(found, key=difference, reverse=True)[:MOST_LISTED]


def _sums(since: datetime, until: datetime) -> QuerySet[Any, tuple[Any, ...]]:
    cut = Q(broken=True) | (Q(status__gte=400) & ~Q(status=_CLIENT_GONE))
    paid = Q(key_id__isnull=False, answers__gt=0) & ~Q(action=Action.COUNT_TOKENS.value)
    fresh = Case(
        When(cached_tokens__lt=F("input_tokens"), then=F("input_tokens") - F("cached_tokens")),
        default=Value(0),
        output_field=IntegerField(),
    )
    rows: QuerySet[Any, tuple[Any, ...]] = (
        RequestLog.objects.filter(at__gte=since, at__lt=until)
        .order_by()
        .annotate(cut=_whether(cut), paid=_whether(paid))
        .values(*_GROUPED)
        .annotate(
            requests=Count("pk"),
            all_answers=Sum("answers"),
            fresh=Sum(fresh),
            cached=Sum("cached_tokens"),
            output=Sum("output_tokens"),
            thinking=Sum("thinking_tokens"),
            was=Sum("cost_micros"),
        )
        .values_list(
            *_GROUPED, "requests", "all_answers", "fresh", "cached", "output", "thinking", "was"
        )
    )
    return rows


def _whether(condition: Q) -> Case:
    return Case(
        When(condition, then=Value(True)), default=Value(False), output_field=BooleanField()
    )
