"""When an exhausted quota is whole again, by what Google's error says (reference 2.7, 2.8, 3.7)."""

from __future__ import annotations

from apiproxy.wire.google_errors import (
    GoogleError,
    delay_in_text,
    next_pacific_midnight,
    parse_duration,
    parse_timestamp,
)

MINUTE_S = 60.0
HOUR_S = 3600.0

SHORTEST_REST_S = 1.0
"""A reset that is past already still gives the upstream a moment."""
LONGEST_REST_S = 7 * 24 * HOUR_S
"""No error, however damaged, takes a credential out for longer."""


def stated_reset(error: GoogleError, now: float) -> float | None:
    """The moment the error names in any of its places, kept within bounds; None when it names none."""
    delays = (error.retry_delay_s, delay_in_text(error.message))
    return _within_bounds([*_quota_moments(error, now), *_moments(delays, now)], now)


def quota_reset(error: GoogleError, now: float) -> float:
    """The moment that belongs to the quota itself, or the end of the day in California where the days are counted."""
    stated = _within_bounds(_quota_moments(error, now), now)
    return next_pacific_midnight(now) if stated is None else stated


def _quota_moments(error: GoogleError, now: float) -> list[float]:
    # The delay first: it does not depend on both clocks agreeing.
    moments = _moments((parse_duration(error.metadata.get("quotaResetDelay", "")),), now)
    stamp = parse_timestamp(error.metadata.get("quotaResetTimeStamp", ""))
    return moments if stamp is None else [*moments, stamp]


def _moments(delays_s: tuple[float | None, ...], now: float) -> list[float]:
    return [now + delay_s for delay_s in delays_s if delay_s is not None]


def _within_bounds(moments: list[float], now: float) -> float | None:
    """The first moment that lies ahead; the shortest rest when all of them are past."""
    if not moments:
        return None
    ahead = next((moment for moment in moments if moment > now), now)
    return min(max(ahead, now + SHORTEST_REST_S), now + LONGEST_REST_S)
