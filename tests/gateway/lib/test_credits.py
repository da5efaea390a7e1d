from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.lib import credits


@pytest.mark.parametrize(
    ("typed", "micros"),
    [("1", 1_000_000), ("0.000001", 1), ("2.50", 2_500_000), ("1e3", 1_000_000_000)],
)
def test_credits_become_whole_micros(typed, micros):
    assert credits.to_micros(credits.parse(typed)) == micros


@pytest.mark.parametrize("typed", ["0", "-1", "NaN", "Infinity", "0.0000001", "1e13"])
def test_amounts_that_cannot_be_granted_are_refused(typed):
    with pytest.raises(ValueError, match="credits"):
        credits.to_micros(Decimal(typed))


@pytest.mark.parametrize("typed", ["", "ten", "1,5"])
def test_what_is_no_number_is_refused(typed):
    with pytest.raises(ValueError, match="not a number"):
        credits.parse(typed)


@pytest.mark.parametrize(
    ("micros", "text"), [(0, "0"), (1, "0.000001"), (2_500_000, "2.5"), (100_000_000, "100")]
)
def test_micros_are_shown_without_trailing_zeros(micros, text):
    assert credits.to_text(micros) == text


def test_a_setting_may_be_nothing_and_is_told_so():
    assert credits.micros_or_nothing("") == credits.micros_or_nothing("0") == 0
    assert credits.micros_or_nothing(" 0.5 ") == 500_000
    for typed in ("-1", "NaN", "1e13"):
        with pytest.raises(ValueError, match="from 0 to"):
            credits.micros_or_nothing(typed)
