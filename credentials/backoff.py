"""When to try again what failed."""

from __future__ import annotations


def pause_s(failures: int, *, first_s: float, longest_s: float, luck: float) -> float:
    """Doubles with every failure in a row. `luck`, 0 to 1, shortens it by up to a quarter: what failed together is not tried
    again together."""
    doubled = first_s * 2.0 ** min(max(failures, 1) - 1, 30)
    return min(doubled, longest_s) * (1.0 - 0.25 * luck)
