from __future__ import annotations

import pytest

from apiproxy import strangers
from apiproxy.strangers import Strangers

HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def gate(now):
    return Strangers(clock=lambda: now[0], per_minute=6)


def tries(gate, address, count, *, wrong=True):
    """How many of them were let through, one after the other."""
    allowed = 0
    for _ in range(count):
        if gate.begin(address):
            allowed += 1
            gate.end(address, wrong=wrong)
    return allowed


def test_an_address_has_so_many_wrong_tries(gate):
    assert tries(gate, HERE, 100) == 6
    assert tries(gate, THERE, 1) == 1


def test_they_come_back_with_time(gate, now):
    tries(gate, HERE, 6)
    assert gate.wait_s(HERE) == pytest.approx(10)
    now[0] += 10
    assert gate.wait_s(HERE) == 0
    assert tries(gate, HERE, 5) == 1
    now[0] += 3600
    assert tries(gate, HERE, 100) == 6


def test_who_is_right_takes_nothing(gate):
    assert tries(gate, HERE, 100, wrong=False) == 100
    assert tries(gate, HERE, 100) == 6


def test_many_at_once_are_no_way_around(gate):
    assert [gate.begin(HERE) for _ in range(10)] == [True] * 6 + [False] * 4
    # It is worth while to wait for those under way.
    assert gate.wait_s(HERE) == 0
    for _ in range(6):
        gate.end(HERE, wrong=True)
    assert not gate.begin(HERE)
    assert gate.wait_s(HERE) > 0


def test_a_clock_that_is_set_back_closes_nothing_for_longer(gate, now):
    tries(gate, HERE, 6)
    now[0] -= 3600
    assert gate.wait_s(HERE) == pytest.approx(10)
    now[0] += 10
    assert tries(gate, HERE, 2) == 1


def test_it_remembers_no_more_than_it_can_bear(gate, now, monkeypatch):
    monkeypatch.setattr(strangers, "_MOST_REMEMBERED", 100)
    tries(gate, HERE, 6)
    for number in range(99):
        tries(gate, f"10.0.0.{number}", 1)
    now[0] += 11  # all but one have all their tries again
    tries(gate, THERE, 1)
    assert len(gate._tries) == 2
    assert gate.wait_s(HERE) == 0
    assert tries(gate, HERE, 6) == 1
    for number in range(1000):
        tries(gate, f"10.0.1.{number}", 1)
        assert len(gate._tries) <= 100
