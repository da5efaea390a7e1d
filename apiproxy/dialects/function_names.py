"""Function names that Google accepts, and the way back to the client's own."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MAX_LENGTH = 64
# Reference 3.3; current documentation says 128, older said 64.
_ACCEPTED = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_REFUSED_CHARACTER = re.compile(r"[^A-Za-z0-9_.:-]")


class FunctionNames:
    """One request's names. Declared names that need no change keep theirs, whatever the others become."""

    def __init__(self, declared: Iterable[str] = ()) -> None:
        self.changed: dict[str, str] = {}
        """Upstream name -> the client's name, for those that differ."""
        self._upstream = {name: name for name in declared if _ACCEPTED.fullmatch(name)}
        self._taken = set(self._upstream)
        self._numbers: dict[str, int] = {}
        """The last one that was put behind a name."""

    def upstream(self, name: str) -> str:
        known = self._upstream.get(name)
        if known is not None:
            return known
        chosen = self._unused(_acceptable(name))
        self._upstream[name] = chosen
        self._taken.add(chosen)
        if chosen != name:
            self.changed[chosen] = name
        return chosen

    def _unused(self, name: str) -> str:
        candidate, number = name, self._numbers.get(name, 1)
        while candidate in self._taken:
            number += 1
            tail = f"_{number}"
            candidate = name[: _MAX_LENGTH - len(tail)] + tail
        self._numbers[name] = number
        return candidate


def _acceptable(name: str) -> str:
    if _ACCEPTED.fullmatch(name):
        return name
    plain = _REFUSED_CHARACTER.sub("_", name)
    if not plain.strip("_"):
        # Nothing readable is left of, say, a Chinese name.
        plain = "function"
    if not (plain[0].isalpha() or plain[0] == "_"):
        plain = "_" + plain
    return plain[:_MAX_LENGTH]
