"""Requests and tokens a minute, requests a day, calls at the same time: what is asked of the windows, and what they answer. Pure.

Two backends answer alike, Redis (limiter_redis.py) and the database (limiter_database.py). A minute is any sixty seconds: the window
slides. A call passes all its scopes or none. It counts as a request from the moment it passes, whatever becomes of it; its
tokens are an estimate until it is over, and then what the upstream counted: none where no upstream answered.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from quotas.terms import Terms

WINDOW_S = 60.0
LEASE_S = 45.0
"""A call whose process renews it no longer stops to count as running after so long."""
RENEW_S = 15.0
AHEAD_S = 1.0
"""What is further in the future than this was stamped by a clock that has been set back since, and does not count."""

Pace = Literal["rpm", "rpd", "tpm", "concurrency"]


class Take(Struct, frozen=True):
    """`terms`: those that have a pace. `tokens`: the estimate of what goes in."""

    request_id: str
    terms: tuple[Terms, ...]
    tokens: int

    @property
    def scopes(self) -> tuple[str, ...]:
        return tuple(one.scope for one in self.terms)


class Release(Struct, frozen=True):
    """The call is over and took `tokens`. `undone`: it was not admitted after all, and counts for nothing. `days`: see Granted."""

    request_id: str
    scopes: tuple[str, ...]
    tokens: int
    undone: bool = False
    days: tuple[int | None, ...] = ()


class Renew(Struct, frozen=True):
    """These calls still run. `scopes`: of each of them."""

    request_ids: tuple[str, ...]
    scopes: tuple[tuple[str, ...], ...]


Item = Take | Release | Renew


class Room(Struct, frozen=True):
    """What is left of a limit after the call, and in how many seconds it is whole again."""

    limit: int
    remaining: int
    reset_s: float


class Granted(Struct, frozen=True):
    """The tightest of all scopes, where any limits that. `days`: for each scope the day the call was counted in, None where
    no days are."""

    requests: Room | None = None
    tokens: Room | None = None
    days: tuple[int | None, ...] = ()


class Refused(Struct, frozen=True):
    """Which limit of which scope. `retry_after_s`: when it lets the next call pass at the earliest; for `concurrency` nobody knows.
    `hopeless`: no wait helps, as the call alone is larger than the limit."""

    scope: str
    pace: Pace
    limit: int
    used: int
    retry_after_s: float
    hopeless: bool = False


def tightest(one: Room | None, other: Room | None) -> Room | None:
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda room: (room.remaining, -room.reset_s))
