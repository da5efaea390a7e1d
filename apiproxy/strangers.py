"""Whoever tries keys that do not exist is not looked up for each. Every address has so many tries; they come back with time. Pure."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

_MOST_REMEMBERED = 20_000


class _Tries(Struct):
    """`left` as of `at`; `pending`: it is not known yet whether they were wrong."""

    left: float
    at: float
    pending: int = 0


class Strangers:
    """Tries of this process alone. Only wrong ones are taken, but no more are under way than are left, so that many at once are
    no way around and those who are right take nothing from their neighbours."""

    def __init__(self, *, clock: Callable[[], float], per_minute: int) -> None:
        self._clock = clock
        self._most = float(max(per_minute, 1))
        self._tries: dict[str, _Tries] = {}

    def wait_s(self, address: str) -> float:
        """Until this one may try again; 0.0 when it may now, or when others of its tries are done."""
        tries = self._now(address)
        if tries is None or tries.left >= 1:
            return 0.0
        return (1 - tries.left) * 60 / self._most

    def begin(self, address: str) -> bool:
        """Whether there is a try left beside those under way; end it in any case."""
        tries = self._now(address)
        if tries is None:
            if len(self._tries) >= _MOST_REMEMBERED:
                self._forget()
            tries = self._tries[address] = _Tries(self._most, self._clock())
        if tries.left - tries.pending < 1:
            return False
        tries.pending += 1
        return True

    def end(self, address: str, *, wrong: bool) -> None:
        tries = self._now(address)
        if tries is None:
            return
        tries.pending = max(tries.pending - 1, 0)
        if wrong:
            tries.left = max(tries.left - 1, 0.0)
        elif not tries.pending and tries.left >= self._most:
            del self._tries[address]

    def _now(self, address: str) -> _Tries | None:
        tries = self._tries.get(address)
        if tries is not None:
            now = self._clock()
            # A clock that is set back gives nothing, and takes nothing.
            tries.left = min(tries.left + max(now - tries.at, 0.0) * self._most / 60, self._most)
            tries.at = now
        return tries

    def _forget(self) -> None:
        """First whoever has all tries by now. An attacker with still more addresses is let try again rather than remembered
        for ever."""
        for address in list(self._tries):
            tries = self._now(address)
            if tries is not None and tries.left >= self._most and not tries.pending:
                del self._tries[address]
        if len(self._tries) >= _MOST_REMEMBERED:
            self._tries.clear()
