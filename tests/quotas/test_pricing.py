from __future__ import annotations

from fractions import Fraction
from math import inf
from random import Random

import pytest

from quotas.pricing import (
    FREE,
    MOST_MICROS,
    Dated,
    Price,
    PriceBook,
    PriceList,
    cost,
    cost_of_many,
    estimate,
)

DEFAULTS = [
    Price("*", per_call_micros=1),
    Price("*flash*", per_call_micros=2),
    Price("*pro*", per_call_micros=10),
]


@pytest.mark.parametrize(
    ("model", "micros"),
    [
        ("gemini-2.5-pro", 10),
        ("gemini-2.5-flash", 2),
        ("gemma-4-31b-it", 1),
        ("gemini-3-pro-image", 10),
        ("gemini-pro-flash", 2),
    ],
)
def test_the_default_prices(model, micros):
    assert PriceList(DEFAULTS).of(model).per_call_micros == micros


def test_a_full_name_wins_over_every_glob():
    prices = PriceList([*DEFAULTS, Price("gemini-2.5-pro", per_call_micros=7)])
    assert prices.of("gemini-2.5-pro").per_call_micros == 7


def test_the_glob_that_says_more_wins():
    prices = PriceList([Price("gemini-2.5-*", per_call_micros=3), *DEFAULTS])
    assert prices.of("gemini-2.5-pro").per_call_micros == 3


def test_without_any_price_a_call_is_free():
    assert PriceList([]).of("gemini-2.5-pro") is FREE


def test_names_that_clients_make_up_do_not_pile_up():
    prices = PriceList(DEFAULTS)
    for number in range(10_050):
        prices.of(f"gemini-{number}", ("search",))
    assert len(prices._known) <= 10_001


def test_what_clients_write_into_features_is_not_remembered():
    prices = PriceList(DEFAULTS, {"search": Fraction(2)})
    assert prices.of("gemini-2.5-pro", ("search", "image_" + "9" * 1000)).per_call_micros == 10
    assert [key[:2] for key in prices._known] == [("gemini-2.5-pro", ("search",))]


TOKENS = Price(
    "t",
    per_call_micros=5,
    input_micros_per_million=2_000_000,
    cached_micros_per_million=500_000,
    output_micros_per_million=8_000_000,
    thinking_micros_per_million=4_000_000,
)


NO_TOKENS = {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "thinking_tokens": 0}


def cost_of(price, calls=0, **tokens):
    return cost(price, calls=calls, **{**NO_TOKENS, **tokens})


def test_each_kind_of_token_has_its_rate():
    tokens = cost_of(TOKENS, input_tokens=10, cached_tokens=4, output_tokens=3, thinking_tokens=2)
    assert tokens == 6 * 2 + 2 + 3 * 8 + 2 * 4


def test_every_answer_costs_a_call():
    assert cost_of(TOKENS, calls=3, output_tokens=1) == 3 * 5 + 8


def test_a_part_of_a_micro_is_rounded_up_once():
    tiny = Price("t", input_micros_per_million=1, output_micros_per_million=1)
    assert cost_of(tiny, input_tokens=1, output_tokens=1) == 1


def test_more_cached_than_input_tokens_cost_no_less_than_nothing():
    assert cost_of(TOKENS, input_tokens=1, cached_tokens=4) == 2


class TestMultipliers:
    PRICES = PriceList(
        [*DEFAULTS, TOKENS],
        {
            "anti_truncation": Fraction(2),
            "search": Fraction("1.5"),
            "thinking_minimal": Fraction(0),
        },
    )

    def test_a_feature_multiplies_the_whole_price(self):
        price = self.PRICES.of("t", ("anti_truncation",))
        assert cost_of(price, calls=1, output_tokens=3) == 2 * (5 + 24)
        assert price.features == "anti_truncation ×2"

    def test_features_multiply_each_other(self):
        price = self.PRICES.of("a-pro", ("anti_truncation", "search"))
        assert cost_of(price, calls=1) == 30
        assert price.features == "anti_truncation ×2, search ×1.5"

    def test_what_has_no_multiplier_costs_nothing_more(self):
        price = self.PRICES.of("a-pro", ("fake_stream",))
        assert price == self.PRICES.of("a-pro")

    def test_the_product_is_rounded_up_once(self):
        price = self.PRICES.of("t", ("anti_truncation", "search"))
        # Half a micro x 2 x 1.5; rounded after each step it would be 3.
        assert cost_of(price, cached_tokens=1) == 2

    def test_a_variant_may_be_free(self):
        assert cost_of(self.PRICES.of("t", ("thinking_minimal",)), calls=1, output_tokens=9) == 0

    def test_what_is_reserved_is_multiplied_too(self):
        price = self.PRICES.of("a-pro", ("anti_truncation",))
        assert estimate(price, body_bytes=9, max_output_tokens=None) == 20


def test_a_price_per_call_is_reserved_as_it_is():
    assert estimate(DEFAULTS[2], body_bytes=1_000_000, max_output_tokens=None) == 10


def test_a_price_by_token_reserves_the_bound_at_the_dearer_rate():
    assert estimate(TOKENS, body_bytes=40, max_output_tokens=100) == 5 + 11 * 2 + 100 * 8
    assert estimate(TOKENS, body_bytes=0, max_output_tokens=None) == 5 + 2 + 8_192 * 8


def test_every_answer_is_reserved_and_every_attempt_at_it():
    once = 11 * 2 + 100 * 8
    sizes = {"body_bytes": 40, "max_output_tokens": 100}
    assert estimate(TOKENS, **sizes, calls=4) == 4 * (5 + once)
    # The second attempt is told what the first said, the third what both said.
    assert estimate(TOKENS, **sizes, attempts=3) == 5 + 3 * once + (1 + 2) * 100 * 2
    assert estimate(DEFAULTS[2], **sizes, attempts=3) == 10


def test_no_call_costs_more_than_the_ledger_can_add_up():
    dear = Price("t", output_micros_per_million=10**15)
    assert estimate(dear, body_bytes=1, max_output_tokens=10**40) == MOST_MICROS
    assert cost_of(dear, output_tokens=10**40) == MOST_MICROS


class TestTariffs:
    PRICES = PriceList(
        [*DEFAULTS, Price("gemini-2.5-pro", per_call_micros=7)],
        {"search": Fraction(3)},
        {"friends": [Price("*pro*", per_call_micros=4)]},
    )

    def test_the_tariffs_own_list_goes_first_even_with_a_glob(self):
        assert self.PRICES.of("gemini-2.5-pro", (), "friends").per_call_micros == 4
        assert self.PRICES.of("gemini-2.5-pro").per_call_micros == 7

    def test_what_it_does_not_name_has_everybodys_price(self):
        assert self.PRICES.of("gemini-2.5-flash", (), "friends").per_call_micros == 2
        assert self.PRICES.of("gemini-2.5-pro", (), "nobody's").per_call_micros == 7

    def test_a_groups_factor_is_exact_and_rounded_up_once(self):
        third = Fraction("0.333")
        price = self.PRICES.of("gemini-2.5-pro", ("search",), "friends", third)
        # 4 x 3 x 0.333 = 3.996; rounded after each step it would be 6.
        assert cost_of(price, calls=1) == 4
        assert cost_of(price, calls=1000) == 3996
        assert price.features == "search ×3, group ×0.333"
        assert self.PRICES.of("gemini-2.5-pro", (), "friends", Fraction(1)).features == ""

    def test_the_same_model_for_two_groups_is_two_prices(self):
        half, twice = Fraction("0.5"), Fraction(2)
        assert cost_of(self.PRICES.of("x", (), "", half), calls=2) == 1
        assert cost_of(self.PRICES.of("x", (), "", twice), calls=2) == 4


def dated(start, pattern="m", micros=1, *, until=inf, order=0, tariff=""):
    price = Price(pattern, per_call_micros=micros)
    return Dated(start, until, order, tariff=tariff, price=price)


class TestBook:
    def test_each_price_counts_until_the_next(self):
        book = PriceBook([dated(20, micros=2), dated(10, micros=1), dated(30, micros=3)])
        found = [book.at(now).of("m").per_call_micros for now in (9, 10, 19.9, 20, 30, 1e12)]
        assert found == [0, 1, 1, 2, 3, 3]

    def test_a_clock_that_goes_back_finds_what_counted_then(self):
        book = PriceBook([dated(10, micros=1), dated(20, micros=2)])
        assert [book.at(now).of("m").per_call_micros for now in (25, 15, 25, 5)] == [2, 1, 2, 0]

    def test_between_two_turns_nothing_is_made_anew(self):
        book = PriceBook([dated(10), dated(20)])
        assert book.at(10) is book.at(15) is book.at(19.999)
        assert book.at(20) is not book.at(19)

    def test_one_that_ends_leaves_its_models_to_the_next_that_fits(self):
        book = PriceBook([dated(0, "*", 1), dated(10, "m", 5, until=20)])
        assert [book.at(now).of("m").per_call_micros for now in (5, 15, 20)] == [1, 5, 1]

    def test_what_was_followed_does_not_come_back(self):
        book = PriceBook([dated(0, micros=1), dated(10, micros=2, until=20)])
        assert book.at(20).of("m") is FREE

    def test_what_was_called_off_ends_nothing(self):
        book = PriceBook([dated(0, micros=1), dated(10, micros=2, until=10)])
        assert book.at(15).of("m").per_call_micros == 1

    def test_of_equal_globs_the_one_that_began_later_counts(self):
        rows = [dated(0, "a*", 1, order=1), dated(10, "*a", 2, order=0)]
        assert PriceBook(rows).at(15).of("aa").per_call_micros == 2
        rows = [dated(10, "a*", 1, order=1), dated(0, "*a", 2, order=0)]
        assert PriceBook(rows).at(15).of("aa").per_call_micros == 1
        rows = [dated(0, "a*", 1, order=1), dated(0, "*a", 2, order=0)]
        assert PriceBook(rows).at(15).of("aa").per_call_micros == 1

    def test_tariffs_and_factors_have_times_of_their_own(self):
        book = PriceBook(
            [
                dated(0, micros=4),
                dated(10, micros=2, tariff="friends", until=30),
                Dated(20, inf, 0, feature="search", factor=Fraction(2)),
            ]
        )
        costs = [
            cost_of(book.at(now).of("m", ("search",), "friends"), calls=1)
            for now in (5, 15, 25, 35)
        ]
        assert costs == [4, 2, 4, 8]

    def test_the_past_can_be_asked_with_other_prices(self):
        book = PriceBook([dated(0, micros=4), dated(0, "*", 9)])
        change = dated(-inf, micros=5)
        assert book.list_at(10, [change]).of("m").per_call_micros == 5
        assert book.at(10).of("m").per_call_micros == 4


def test_a_sum_costs_what_its_calls_cost_but_for_rounding():
    draw = Random(5)
    price = PriceList([TOKENS], {"search": Fraction("1.337")}).of("t", ("search",))
    calls = [
        {
            "calls": draw.randrange(3),
            "input_tokens": draw.randrange(5000),
            "cached_tokens": draw.randrange(5000),
            "output_tokens": draw.randrange(900),
            "thinking_tokens": draw.randrange(900),
        }
        for _ in range(500)
    ]
    exact = sum(cost(price, **call) for call in calls)
    summed = cost_of_many(
        price,
        fresh_tokens=sum(max(c.pop("input_tokens") - c["cached_tokens"], 0) for c in calls),
        **{name: sum(call[name] for call in calls) for name in calls[0]},
    )
    assert 0 <= exact - summed <= len(calls)


def test_a_sum_may_cost_more_than_any_call():
    many = {"fresh_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "thinking_tokens": 0}
    assert cost_of_many(DEFAULTS[2], calls=MOST_MICROS, **many) == 10 * MOST_MICROS


@pytest.mark.parametrize(
    ("model", "expected"),
    [("gemini-2.5-pro", "gemini-2*"), ("gemini-3-pro", "gemini-[23]*"), ("[x", "[*")],
)
def test_a_choice_of_characters_is_none_that_is_named(model, expected):
    patterns = ["gemini-[23]*", "gemini-2*", "*", "[*", "?[x-z]"]
    assert PriceList([Price(pattern=one) for one in patterns]).of(model).pattern == expected
