"""Rows of the request log -> what each subject used. Pure.

A cell is (axis, subject, model): everything of one key with one model, and with model "" everything of that key. Sums are lists
that are added to in place, as a busy hour has hundreds of thousands of rows; `NAMES` says what stands where. Behind the numbers
stand two histograms (apiproxy/histogram.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from apiproxy.histogram import Histogram, bucket

NAMES = (
    "requests",
    "successes",
    "client_errors",
    "auth_errors",
    "limit_errors",
    "left",
    "upstream_errors",
    "unavailable",
    "internal_errors",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "thinking_tokens",
    "cost_micros",
)
HISTOGRAMS = ("duration_ms", "first_byte_ms")
ERRORS = NAMES[2:9]
COLUMNS = (
    "key_id",
    "owner_id",
    "group_id",
    "credential_id",
    "dialect",
    "model",
    "status",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "thinking_tokens",
    "cost_micros",
    "duration_ms",
    "first_byte_ms",
)
"""Of the request log, in the order that `aggregate` takes them."""

SITE, KEY, USER, GROUP, CREDENTIAL, DIALECT = (
    "site",
    "key",
    "user",
    "group",
    "credential",
    "dialect",
)
DETAILED = (KEY, USER, CREDENTIAL)
"""Axes of which there may be thousands of subjects."""
COARSE = (SITE, GROUP, DIALECT)
AXES = (*COARSE, *DETAILED)

Cell = tuple[str, str, str]
Sums = list[Any]

_COUNTS = len(NAMES)
_OUTCOMES = {401: 3, 403: 3, 429: 4, 499: 5, 502: 6, 504: 6, 503: 7}


def nothing() -> Sums:
    return [0] * _COUNTS + [{}, {}]


def outcome(status: int) -> int:
    """Where in the sums a call that ended so is counted."""
    if status < 400:
        return 1
    return _OUTCOMES.get(status, 2 if status < 500 else 8)


def aggregate(rows: Iterable[tuple[Any, ...]], axes: Collection[str] = AXES) -> dict[Cell, Sums]:
    """Every row counts once for the site and once on each axis on which it has a subject. A call that named no model that we
    know counts for no model, so that models together may be less than all."""
    # First what is alike in everything: on a busy site that is most.
    finest: dict[tuple[Any, ...], Sums] = {}
    for key, owner, group, credential, dialect, model, status, *rest in rows:
        alike = (key, owner, group, credential, dialect, model)
        sums = finest.get(alike)
        if sums is None:
            sums = finest[alike] = nothing()
        input_tokens, cached, output, thinking, cost, duration_ms, first_byte_ms = rest
        sums[0] += 1
        sums[outcome(status)] += 1
        sums[9] += input_tokens
        sums[10] += cached
        sums[11] += output
        sums[12] += thinking
        sums[13] += cost
        _count(sums[14], duration_ms)
        if first_byte_ms is not None:
            _count(sums[15], first_byte_ms)
    cells: dict[Cell, Sums] = {}
    for (key, owner, group, credential, dialect, model), sums in finest.items():
        for axis, subject in (
            (SITE, ""),
            (GROUP, group),
            (DIALECT, dialect),
            (KEY, key),
            (USER, owner),
            (CREDENTIAL, credential),
        ):
            if subject is None or axis not in axes:
                continue
            name = str(subject)
            add(cells, (axis, name, ""), sums)
            if model:
                add(cells, (axis, name, model), sums)
    return cells


def add(cells: dict[Any, Sums], cell: Any, sums: Sums) -> None:
    known = cells.get(cell)
    if known is None:
        cells[cell] = [*sums[:_COUNTS], dict(sums[_COUNTS]), dict(sums[_COUNTS + 1])]
        return
    for place in range(_COUNTS):
        if sums[place]:
            known[place] += sums[place]
    for place in (_COUNTS, _COUNTS + 1):
        histogram: Histogram = known[place]
        for name, calls in sums[place].items():
            histogram[name] = histogram.get(name, 0) + calls


def _count(histogram: Histogram, ms: int) -> None:
    name = bucket(ms)
    histogram[name] = histogram.get(name, 0) + 1
