from __future__ import annotations

from fractions import Fraction

import pytest

from quotas.pricing import FREE, MOST_MICROS, Price, PriceList, cost, estimate

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
    assert list(prices._known) == [("gemini-2.5-pro", ("search",))]


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
