"""Prices and multipliers: rows are added and ended, so that the past keeps its own."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.utils import timezone

from gateway.lib.errors import Conflict, InvalidRequest
from quotas.features import FEATURES
from quotas.models import Multiplier, Price
from quotas.selectors.prices import in_force, is_followed

RATES = (
    "per_call_micros",
    "input_micros_per_million",
    "cached_micros_per_million",
    "output_micros_per_million",
    "thinking_micros_per_million",
)

# Clocks of the people who plan a change, and the time that a form is open.
_LATE_S = 60


@transaction.atomic
def set_price(
    *,
    pattern: str,
    tariff: str = "",
    per_call_micros: int = 0,
    input_micros_per_million: int = 0,
    cached_micros_per_million: int | None = None,
    output_micros_per_million: int = 0,
    thinking_micros_per_million: int | None = None,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    note: str = "",
) -> Price:
    """From `valid_from` (None: now) on this takes the place of the pattern's price in that tariff. Cached input costs as much as other
    input where nothing is said, thinking as much as output. Raises InvalidRequest, Conflict."""
    start = _start(valid_from, valid_until)
    if not pattern.strip() or not pattern.isprintable():
        raise InvalidRequest("name a model, or a glob such as *flash*", param="pattern")
    if not tariff.isprintable():
        raise InvalidRequest("a tariff is a word that can be printed", param="tariff")
    if cached_micros_per_million is None:
        cached_micros_per_million = input_micros_per_million
    if thinking_micros_per_million is None:
        thinking_micros_per_million = output_micros_per_million
    price = Price(
        tariff=tariff.strip(),
        pattern=pattern.strip(),
        valid_from=start,
        valid_until=valid_until,
        note=note,
        per_call_micros=per_call_micros,
        input_micros_per_million=input_micros_per_million,
        cached_micros_per_million=cached_micros_per_million,
        output_micros_per_million=output_micros_per_million,
        thinking_micros_per_million=thinking_micros_per_million,
    )
    if (price.tariff, price.pattern) == ("", "*") and valid_until is not None:
        raise _catch_all()
    _add(price)
    return price


@transaction.atomic
def set_multiplier(
    *,
    feature: str,
    factor: Decimal,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
) -> Multiplier:
    """Raises InvalidRequest, Conflict."""
    if feature not in FEATURES:
        raise InvalidRequest(
            f"there is no feature {feature!r}: {', '.join(FEATURES)}", param="feature"
        )
    row = Multiplier(
        feature=feature,
        factor=factor,
        valid_from=_start(valid_from, valid_until),
        valid_until=valid_until,
    )
    _add(row)
    return row


@transaction.atomic
def end_price(*, price_id: int, at: datetime | None = None) -> Price:
    """None: now. One that has not begun is called off. Raises Conflict when it counts no more, InvalidRequest."""
    price = Price.objects.select_for_update().get(pk=price_id)
    begun = price.valid_from <= timezone.now()
    if (price.tariff, price.pattern) == ("", "*") and (begun or at is not None):
        raise _catch_all()
    _end(price, at)
    return price


@transaction.atomic
def end_multiplier(*, multiplier_id: int, at: datetime | None = None) -> Multiplier:
    """As `end_price`."""
    row = Multiplier.objects.select_for_update().get(pk=multiplier_id)
    _end(row, at)
    return row


def _start(valid_from: datetime | None, valid_until: datetime | None) -> datetime:
    now = timezone.now()
    start = valid_from or now
    if (now - start).total_seconds() > _LATE_S:
        raise InvalidRequest(
            "the past keeps its prices: valid_from is now or later", param="valid_from"
        )
    # What was meant for a moment ago counts from now, so that no call finds its price changed afterwards.
    start = max(start, now)
    if valid_until is not None and valid_until <= start:
        raise InvalidRequest("valid_until comes after valid_from", param="valid_until")
    return start


def _add(row: Price | Multiplier) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as exc:
        raise Conflict("there is one that begins at that very moment: end it first") from exc


def _end(row: Price | Multiplier, at: datetime | None) -> None:
    now = timezone.now()
    if at is not None and (now - at).total_seconds() > _LATE_S:
        raise InvalidRequest("the past keeps its prices: at is now or later", param="at")
    over = row.valid_until is not None and row.valid_until <= max(now, row.valid_from)
    if over or is_followed(row, now):
        raise Conflict("it counts no more")
    row.valid_until = max(at or now, now if row.valid_from <= now else row.valid_from)
    row.save(update_fields=["valid_until"])


def _catch_all() -> InvalidRequest:
    return InvalidRequest(
        "without a price for * every model that has no price of its own would be free: set one of 0 if that is meant",
        param="pattern",
    )


def current_price(pattern: str, tariff: str = "") -> Price | None:
    """The row that counts now for just this pattern."""
    return in_force(Price.objects.filter(pattern=pattern, tariff=tariff), timezone.now()).first()
