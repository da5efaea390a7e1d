"""Percentiles from sums of buckets."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from apiproxy.histogram import bucket, merge, percentiles, value_ms

times = st.integers(min_value=0, max_value=3_600_000)


def of(measured):
    return merge({bucket(ms): 1} for ms in measured)


def close(told, ms):
    """Within 5 %, or as near as whole milliseconds are."""
    return abs(told - ms) <= max(0.05 * ms, 0.5)


@given(times)
def test_a_bucket_stands_for_what_lies_within_five_percent(ms):
    assert close(value_ms(bucket(ms)), ms) or ms == 0
    assert value_ms(bucket(0)) == 0


def test_buckets_go_up_with_what_they_hold():
    numbers = [int(bucket(ms)) for ms in range(30_000)]
    assert numbers == sorted(numbers)


def test_what_takes_ages_has_a_bucket_too():
    assert bucket(10**12) == bucket(3_600_001)
    assert bucket(-5) == "0"


@given(st.lists(times, min_size=1, max_size=300))
def test_percentiles_are_those_of_the_sorted_list_to_five_percent(measured):
    ordered = sorted(measured)
    told = percentiles(of(measured), (50, 90, 95, 99))
    for percent, ms in zip((50, 90, 95, 99), told, strict=True):
        exact = ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]
        assert close(ms, exact) or abs(ms - exact) <= 0.05 * exact + 1


def test_added_up_in_pieces_is_added_up_at_once():
    draw = random.Random(1)
    measured = [draw.randrange(60_000) for _ in range(999)]
    pieces = [of(measured[start : start + 37]) for start in range(0, 999, 37)]
    assert merge(pieces) == of(measured)
    assert sum(merge(pieces).values()) == 999


def test_nothing_measured_has_no_percentiles():
    assert percentiles({}, (50, 99)) == [None, None]


def test_a_day_of_calls_is_few_buckets():
    draw = random.Random(2)
    assert len(of(int(draw.lognormvariate(8, 1)) for _ in range(50_000))) < 110
