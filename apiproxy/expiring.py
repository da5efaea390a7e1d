"""A bounded dict whose entries go out of date. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ExpiringDict(Generic[K, V]):
    """Every entry lives `lifetime_s` from its last setting; the oldest go when there are more than `max_items`."""

    def __init__(self, *, lifetime_s: float, max_items: int, clock: Callable[[], float]) -> None:
        self._lifetime_s = lifetime_s
        self._max_items = max_items
        self._clock = clock
        self._items: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def __setitem__(self, key: K, value: V) -> None:
        now = self._clock()
        self._items[key] = (now + self._lifetime_s, value)
        self._items.move_to_end(key)
        while self._items:
            expires_at, _ = next(iter(self._items.values()))
            if expires_at > now and len(self._items) <= self._max_items:
                break
            self._items.popitem(last=False)

    def get(self, key: K) -> V | None:
        item = self._items.get(key)
        if item is None or item[0] <= self._clock():
            return None
        return item[1]
