"""The public price list: what each offered model costs everybody, and what will change."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from msgspec import Struct

from apiproxy.models import CatalogueModel
from gateway.lib.credits import to_text
from quotas.features import FEATURES
from quotas.models import Multiplier, Price
from quotas.pricing import Price as Rates
from quotas.selectors import price_book
from quotas.selectors.prices import as_price, in_force, upcoming

_MOST_UPCOMING = 50


class Costs(Struct):
    """Credits as decimal strings; of a million tokens but for the first."""

    per_call: str
    input_per_million: str
    cached_per_million: str
    output_per_million: str
    thinking_per_million: str
    by_token: bool


class ModelCosts(Struct):
    id: str
    display_name: str
    costs: Costs


class Factor(Struct):
    feature: str
    words: str
    factor: str


class Change(Struct):
    """`subject`: a model, a glob, or a feature. Without `costs` and `factor` what counts until then ends."""

    at: datetime
    subject: str
    words: str = ""
    costs: Costs | None = None
    factor: str = ""


class PublicPrices(Struct):
    """`others`: of a model that is not listed."""

    at: datetime
    models: list[ModelCosts]
    others: Costs
    multipliers: list[Factor]
    upcoming: list[Change]


def public_prices() -> PublicPrices:
    now = timezone.now()
    prices = price_book(now).at(now.timestamp())
    return PublicPrices(
        at=now,
        models=[
            ModelCosts(name, display_name or name, _costs(prices.of(name)))
            for name, display_name in CatalogueModel.objects.filter(listed=True).values_list(
                "name", "display_name"
            )
        ],
        others=_costs(prices.of("any other model")),
        multipliers=[
            Factor(name, FEATURES[name], _decimal(row))
            for name, row in _standing_multipliers(now).items()
        ],
        upcoming=_changes(now),
    )


def _standing_multipliers(now: datetime) -> dict[str, Multiplier]:
    """Those that make a difference, in the order of the features."""
    found = {row.feature: row for row in in_force(Multiplier.objects.exclude(factor=1), now)}
    return {name: found[name] for name in FEATURES if name in found}


def _changes(now: datetime) -> list[Change]:
    prices = Price.objects.filter(tariff="")
    changes = [
        Change(row.valid_from, row.pattern, row.note, costs=_costs(as_price(row)))
        for row in upcoming(prices, now)[:_MOST_UPCOMING]
    ]
    changes += [
        Change(row.valid_from, row.feature, FEATURES.get(row.feature, ""), factor=_decimal(row))
        for row in upcoming(Multiplier.objects.all(), now)[:_MOST_UPCOMING]
    ]
    changes += [
        Change(row.valid_until, row.pattern)
        for row in in_force(prices.exclude(valid_until=None), now)[:_MOST_UPCOMING]
        if row.valid_until
    ]
    changes += [
        Change(row.valid_until, row.feature, FEATURES.get(row.feature, ""))
        for row in in_force(Multiplier.objects.all(), now)
        if row.valid_until
    ]
    return sorted(changes, key=lambda change: (change.at, change.subject))


def _costs(price: Rates) -> Costs:
    return Costs(
        per_call=to_text(price.per_call_micros),
        input_per_million=to_text(price.input_micros_per_million),
        cached_per_million=to_text(price.cached_micros_per_million),
        output_per_million=to_text(price.output_micros_per_million),
        thinking_per_million=to_text(price.thinking_micros_per_million),
        by_token=price.by_token,
    )


def _decimal(row: Multiplier) -> str:
    return f"{row.factor.normalize():f}"
