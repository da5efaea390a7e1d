"""What was used, by time and model, as bars of an SVG. Pure.

A slot is 10 wide, its bar 8; the height is 100. The browser stretches it to the page, so nothing in it may be text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

SLOT, BAR, HEIGHT = 10, 8, 100
MOST_SERIES = 5
"""More models than have a colour are told together."""
OTHERS = "others"
_LEAST = 1.0
"""What was used at all can be seen."""
_ROOM = HEIGHT - _LEAST * (MOST_SERIES + 1)
"""So that the pieces that are made larger fit above the others."""


class Piece(Struct, frozen=True):
    series: int
    x: int
    y: float
    height: float


class Slot(Struct, frozen=True):
    """`amounts`: (model, amount), the most first."""

    at: datetime
    x: int
    total: int
    amounts: tuple[tuple[str, int], ...]
    pieces: tuple[Piece, ...]


class Chart(Struct, frozen=True):
    """`series`: {model: number of its colour, from 1; 0 is that of all the others}. `top`: the amount of the highest bar."""

    width: int
    slots: tuple[Slot, ...]
    series: dict[str, int]
    top: int
    total: int


def draw(
    points: Sequence[tuple[datetime, Mapping[str, int]]],
    *,
    name_of: Callable[[str], str] = str,
) -> Chart:
    """`points`: amounts by model, oldest first."""
    sums: dict[str, int] = {}
    for _, amounts in points:
        for model, amount in amounts.items():
            sums[model] = sums.get(model, 0) + amount
    ordered = sorted((model for model in sums if sums[model]), key=lambda m: (-sums[m], m))
    coloured = ordered if len(ordered) <= MOST_SERIES + 1 else ordered[:MOST_SERIES]
    series = {model: place + 1 for place, model in enumerate(coloured[:MOST_SERIES])}
    top = max((sum(amounts.values()) for _, amounts in points), default=0)
    return Chart(
        width=max(len(points) * SLOT, SLOT),
        slots=tuple(
            _slot(at, amounts, place, series, top, name_of)
            for place, (at, amounts) in enumerate(points)
        ),
        series={model: series.get(model, 0) for model in ordered},
        top=top,
        total=sum(sums.values()),
    )


def _slot(
    at: datetime,
    amounts: Mapping[str, int],
    place: int,
    series: Mapping[str, int],
    top: int,
    name_of: Callable[[str], str],
) -> Slot:
    by_series: dict[int, int] = {}
    for model, amount in amounts.items():
        number = series.get(model, 0)
        by_series[number] = by_series.get(number, 0) + amount
    pieces = []
    y = float(HEIGHT)
    # The most used model at the foot, the others on top.
    for number in sorted(by_series, key=lambda number: number or MOST_SERIES + 1):
        if not by_series[number]:
            continue
        height = max(round(by_series[number] / top * _ROOM, 2), _LEAST)
        y = round(y - height, 2)
        pieces.append(Piece(number, place * SLOT + 1, y, height))
    told = sorted(((name_of(m), a) for m, a in amounts.items() if a), key=lambda one: -one[1])
    return Slot(at, place * SLOT, sum(amounts.values()), tuple(told), tuple(pieces))
