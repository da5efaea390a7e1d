"""Prices in the database: added and ended, never changed; what counted when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from gateway.lib.errors import Conflict, InvalidRequest
from gateway.lib.models import Revision
from quotas import selectors
from quotas.models import Multiplier, Price
from quotas.selectors.prices import in_force, price_book, upcoming
from quotas.services.pricing import (
    current_price,
    end_multiplier,
    end_price,
    set_multiplier,
    set_price,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _only_these(db):
    Price.objects.all().delete()
    Multiplier.objects.all().delete()


def ago(**span):
    return timezone.now() - timedelta(**span)


def ahead(**span):
    return timezone.now() + timedelta(**span)


def row(pattern="m", micros=1, **fields):
    fields.setdefault("valid_from", ago(days=1))
    return Price.objects.create(pattern=pattern, per_call_micros=micros, **fields)


def cost(at=None, model="m", **options):
    return selectors.price_list(at).of(model, **options).per_call_micros


def test_a_new_price_takes_the_place_of_the_old_which_stays():
    old = row()
    new = set_price(pattern="m", per_call_micros=2)
    assert (cost(), cost(ago(hours=1))) == (2, 1)
    old.refresh_from_db()
    assert (old.per_call_micros, old.valid_until) == (1, None)
    assert list(in_force(Price.objects.all(), timezone.now())) == [new]
    assert list(in_force(Price.objects.all(), ago(hours=1))) == [old]
    assert current_price("m") == new


def test_a_price_of_the_future_waits_and_then_counts_without_another_reading():
    row()
    later = ahead(hours=1)
    price = set_price(pattern="m", per_call_micros=2, valid_from=later)
    book = price_book()
    assert book.at(timezone.now().timestamp()).of("m").per_call_micros == 1
    assert book.at(later.timestamp()).of("m").per_call_micros == 2
    assert list(upcoming(Price.objects.all(), timezone.now())) == [price]


def test_one_of_the_future_is_called_off_and_ends_nothing():
    row()
    price = set_price(pattern="m", per_call_micros=2, valid_from=ahead(hours=1))
    end_price(price_id=price.pk)
    assert cost(ahead(hours=2)) == 1
    assert list(upcoming(Price.objects.all(), timezone.now())) == []
    with pytest.raises(Conflict):
        end_price(price_id=price.pk)


def test_one_that_ends_leaves_its_models_to_a_glob():
    row("*", 9)
    price = row("m", 1)
    end_price(price_id=price.pk)
    assert (cost(), cost(ago(hours=1))) == (9, 1)


def test_an_end_may_be_set_for_later_and_moved():
    row("*", 9)
    price = row("m", 1)
    end_price(price_id=price.pk, at=ahead(hours=1))
    assert (cost(), cost(ahead(hours=2))) == (1, 9)
    end_price(price_id=price.pk, at=ahead(hours=3))
    assert cost(ahead(hours=2)) == 1


def test_what_was_followed_cannot_be_ended():
    old = row()
    set_price(pattern="m", per_call_micros=2)
    with pytest.raises(Conflict):
        end_price(price_id=old.pk)


def test_what_was_followed_does_not_come_back_when_the_next_ends():
    """Also in a book that leaves the past out."""
    row(micros=1, valid_from=ago(days=3))
    row(micros=2, valid_from=ago(days=2), valid_until=ago(days=1))
    assert cost() == 0
    assert cost(ago(hours=30)) == 2


def test_the_past_cannot_be_written():
    with pytest.raises(InvalidRequest, match="past"):
        set_price(pattern="m", valid_from=ago(hours=1))
    price = row()
    with pytest.raises(InvalidRequest, match="past"):
        end_price(price_id=price.pk, at=ago(hours=1))
    with pytest.raises(InvalidRequest, match="past"):
        set_multiplier(feature="search", factor=Decimal(2), valid_from=ago(hours=1))


def test_a_moment_ago_is_now():
    """Calls made since then must not find their price changed afterwards."""
    started = timezone.now()
    assert set_price(pattern="m", valid_from=ago(seconds=20)).valid_from >= started


def test_two_that_begin_at_the_same_moment_are_refused():
    later = ahead(hours=1)
    set_price(pattern="m", valid_from=later)
    with pytest.raises(Conflict):
        set_price(pattern="m", valid_from=later)
    set_price(pattern="m", tariff="friends", valid_from=later)


@pytest.mark.parametrize("pattern", ["", "  ", "a\tb"])
def test_a_pattern_is_a_name(pattern):
    with pytest.raises(InvalidRequest):
        set_price(pattern=pattern)


def test_what_is_cached_or_thought_costs_as_the_rest_where_nothing_is_said():
    price = set_price(pattern="m", input_micros_per_million=5, output_micros_per_million=7)
    assert (price.cached_micros_per_million, price.thinking_micros_per_million) == (5, 7)
    price = set_price(pattern="m", input_micros_per_million=5, cached_micros_per_million=0)
    assert price.cached_micros_per_million == 0


def test_the_price_of_everything_else_is_followed_but_never_ended():
    price = row("*", 1)
    with pytest.raises(InvalidRequest, match="free"):
        end_price(price_id=price.pk)
    with pytest.raises(InvalidRequest, match="free"):
        set_price(pattern="*", valid_until=ahead(days=1))
    set_price(pattern="*", per_call_micros=0)
    called_off = set_price(pattern="*", per_call_micros=3, valid_from=ahead(days=1))
    end_price(price_id=called_off.pk)
    assert cost(ahead(days=2)) == 0
    own = set_price(pattern="*", tariff="friends", per_call_micros=3)
    end_price(price_id=own.pk)


def test_a_tariff_has_its_own_rows():
    row(micros=5)
    set_price(pattern="m", tariff="friends", per_call_micros=2)
    assert (cost(), cost(tariff="friends")) == (5, 2)
    assert current_price("m").per_call_micros == 5


def test_multipliers_have_a_history_too():
    first = set_multiplier(feature="search", factor=Decimal("1.5"))
    later = set_multiplier(feature="search", factor=Decimal(3), valid_from=ahead(hours=1))
    row()
    now, then = timezone.now(), ahead(hours=2)
    prices = {at: selectors.price_list(at).of("m", ("search",)) for at in (now, then)}
    assert [price.features for price in prices.values()] == ["search ×1.5", "search ×3"]
    end_multiplier(multiplier_id=later.pk)
    end_multiplier(multiplier_id=first.pk)
    assert selectors.price_list(then).of("m", ("search",)).features == ""
    with pytest.raises(InvalidRequest, match="anti_truncation"):
        set_multiplier(feature="serach", factor=Decimal(2))


def test_every_change_reaches_the_processes():
    def number():
        return Revision.objects.filter(topic="prices").values_list("number", flat=True).get()

    price = set_price(pattern="m")
    first = number()
    end_price(price_id=price.pk)
    assert number() == first + 1
    set_multiplier(feature="search", factor=Decimal(2))
    assert number() == first + 2


def test_a_long_past_is_not_read(django_assert_num_queries):
    start = datetime(2020, 1, 1, tzinfo=UTC)
    Price.objects.bulk_create(
        Price(pattern="m", per_call_micros=day, valid_from=start + timedelta(days=day))
        for day in range(500)
    )
    with django_assert_num_queries(2):
        book = price_book()
    assert len(book._rows) == 1
    assert book.at(timezone.now().timestamp()).of("m").per_call_micros == 499
    assert cost(start + timedelta(days=17, hours=3)) == 17


def test_what_was_called_off_may_be_set_again_for_the_same_moment():
    later = ahead(hours=1)
    end_price(price_id=set_price(pattern="m", per_call_micros=3, valid_from=later).pk)
    set_price(pattern="m", per_call_micros=2, valid_from=later)
    assert cost(ahead(hours=2)) == 2
    with pytest.raises(Conflict):
        set_price(pattern="m", valid_from=later)
    mistake = set_multiplier(feature="search", factor=Decimal(20), valid_from=later)
    end_multiplier(multiplier_id=mistake.pk)
    set_multiplier(feature="search", factor=Decimal(2), valid_from=later)
    assert cost(ahead(hours=2), features=("search",)) == 2
    assert selectors.price_list(ahead(hours=2)).of("m", ("search",)).features == "search ×2"


def test_a_clock_that_is_set_back_finds_the_price_of_that_time():
    """Not none at all, which would be free."""
    row(micros=5)
    set_price(pattern="m", per_call_micros=7)
    book = price_book()
    assert book.at(timezone.now().timestamp()).of("m").per_call_micros == 7
    assert book.at(ago(minutes=10).timestamp()).of("m").per_call_micros == 5
