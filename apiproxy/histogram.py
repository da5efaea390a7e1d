"""How long calls took, in numbers that can be added up: {bucket: calls}. Pure.

Bucket n holds what lies between 1.1 ** (n - 1) and 1.1 ** n milliseconds and is told as a value between the two that is at most
5 % from either; bucket 0 is less than a millisecond. A day of calls needs some sixty buckets, however many calls there were.
Keys are texts, as JSON has no others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

GROWTH = 1.1
_LOG = math.log(GROWTH)
# An hour ends here: what took longer is told as an hour.
_LAST = math.ceil(math.log(3_600_000) / _LOG)
_SHORT = 10_000

Histogram = dict[str, int]


def _bucket(ms: int) -> str:
    if ms < 1:
        return "0"
    return str(min(1 + math.floor(math.log(ms) / _LOG + 1e-9), _LAST))


# What most calls take is looked up.
_BUCKETS = [_bucket(ms) for ms in range(_SHORT)]


def bucket(ms: int) -> str:
    return _BUCKETS[ms] if 0 <= ms < _SHORT else _bucket(ms)


def value_ms(name: str) -> float:
    """What stands for all of a bucket."""
    number = int(name)
    if number <= 0:
        return 0.0
    return 2 * GROWTH**number / (GROWTH + 1)


def merge(histograms: Iterable[Mapping[str, int]]) -> Histogram:
    merged: Histogram = {}
    for histogram in histograms:
        for name, calls in histogram.items():
            merged[name] = merged.get(name, 0) + calls
    return merged


def percentiles(histogram: Mapping[str, int], wanted: Sequence[float]) -> list[int | None]:
    """Milliseconds, by the nearest rank; None where nothing was measured. `wanted` goes up: (50, 90, 99.9)."""
    calls = sum(histogram.values())
    if not calls:
        return [None] * len(wanted)
    found: list[int | None] = []
    seen = 0
    buckets = iter(sorted(histogram, key=int))
    name = "0"
    for percent in wanted:
        rank = max(math.ceil(calls * percent / 100), 1)
        while seen < rank:
            name = next(buckets)
            seen += histogram[name]
        found.append(round(value_ms(name)))
    return found
