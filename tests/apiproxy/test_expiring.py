from __future__ import annotations

from apiproxy.expiring import ExpiringDict


def test_an_entry_lives_its_time_and_no_longer():
    now = [0.0]
    items = ExpiringDict(lifetime_s=10, max_items=5, clock=lambda: now[0])
    items["a"] = 1
    now[0] = 9.9
    assert items.get("a") == 1
    now[0] = 10.0
    assert items.get("a") is None
    assert items.get("b") is None


def test_the_oldest_make_room():
    items = ExpiringDict(lifetime_s=10, max_items=2, clock=lambda: 0.0)
    for name in "abc":
        items[name] = name
    assert items.get("a") is None
    assert len(items) == 2


def test_setting_again_makes_it_young():
    items = ExpiringDict(lifetime_s=10, max_items=2, clock=lambda: 0.0)
    for name in "abac":
        items[name] = name
    assert items.get("a") == "a"
    assert items.get("b") is None


def test_what_has_expired_is_dropped_when_something_is_set():
    now = [0.0]
    items = ExpiringDict(lifetime_s=10, max_items=100, clock=lambda: now[0])
    for number in range(50):
        items[number] = number
    now[0] = 11.0
    items["new"] = 1
    assert len(items) == 1
