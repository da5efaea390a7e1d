"""The bars of /quota."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.dashboard.quota.chart import HEIGHT, MOST_SERIES, draw

DAY = datetime(2026, 11, 1, tzinfo=UTC)


def points(*amounts):
    return [(DAY + timedelta(days=n), of_day) for n, of_day in enumerate(amounts)]


def test_nothing():
    chart = draw(points({}, {"a": 0}))
    assert (chart.top, chart.total, chart.series) == (0, 0, {})
    assert [slot.pieces for slot in chart.slots] == [(), ()]
    assert draw([]).width > 0


def test_bars_are_as_high_as_their_amounts_and_stand_on_each_other():
    chart = draw(points({"a": 30, "b": 10}, {"b": 20}))
    first, second = chart.slots
    assert (chart.top, chart.total) == (40, 60)
    assert chart.series == {"a": 1, "b": 2}  # alike in sum: by name
    lower, upper = first.pieces
    assert lower.height == pytest.approx(3 * upper.height)
    assert lower.y + lower.height == pytest.approx(HEIGHT)
    assert upper.y + upper.height == pytest.approx(lower.y)
    assert second.pieces[0].height == pytest.approx(2 * upper.height)
    assert (first.total, first.amounts) == (40, (("a", 30), ("b", 10)))


def test_the_least_of_use_can_be_seen():
    chart = draw(points({"a": 1_000_000}, {"a": 1}))
    assert chart.slots[1].pieces[0].height >= 1


def test_models_beyond_the_colours_are_told_together():
    amounts = {f"m{n}": 100 - n for n in range(MOST_SERIES + 3)}
    chart = draw(points(amounts))
    assert sorted(chart.series.values()) == [0, 0, 0, 1, 2, 3, 4, 5]
    (slot,) = chart.slots
    assert len(slot.pieces) == MOST_SERIES + 1
    assert slot.pieces[-1].series == 0  # on top
    assert sum(amount for _, amount in slot.amounts) == sum(amounts.values())
    assert len(slot.amounts) == len(amounts)


def test_bars_do_not_leave_the_picture():
    chart = draw(points({f"m{n}": 1 for n in range(6)} | {"big": 10_000}))
    assert all(piece.y >= 0 for slot in chart.slots for piece in slot.pieces)
