"""How bodies are read. Apart from gateway/lib/api.py, as the framework imports this while it makes its own views."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MOST_LEVELS = 50
_TOO_DEEP = f"The JSON is nested deeper than {MOST_LEVELS} levels."


class JSON(JSONParser):
    """Nesting without an end is the sender's mistake: not all that reads a body further on could bear it."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            found = super().parse(*args, **kwargs)
        except RecursionError as exc:
            raise ParseError(_TOO_DEEP) from exc
        if _is_deep(found):
            raise ParseError(_TOO_DEEP)
        return found


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
