"""Who waits for a limit, and whose turn is next. Pure but for the futures that it hands on.

A queue belongs to the scope whose limit was met. Within it people take turns, whoever sent how many calls; each one's calls go in
their order.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct, field

from gateway.lib.errors import RateLimited
from quotas.limiter import Refused, Take
from quotas.periods import clock_text
from quotas.terms import WHOSE

if TYPE_CHECKING:
    from apiproxy.pacing import Ticket

_WORDS = {
    "rpm": "requests a minute",
    "rpd": "requests a day",
    "tpm": "tokens a minute",
    "concurrency": "calls at the same time",
}
# Clients that repeat by themselves would only do so in vain.
_DO_NOT_REPEAT = (b"x-should-retry", b"false")


class TooFast(RateLimited):
    """`refused`: what stood in the way at last."""

    def __init__(self, message: str, refused: Refused, *, retry_after_s: float | None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.refused = refused


class Waiting(Struct, eq=False):
    """`person`: whose turn it is when it is this call's. `until`: by the loop's clock, when it has waited long enough."""

    take: Take
    person: int | str
    until: float
    refused: Refused
    passed: asyncio.Future[Ticket]


class Queue(Struct, eq=False):
    """Those who wait at one scope: whoever's turn is next stands first. `refused`: its limit, as it was met last."""

    refused: Refused
    lines: dict[int | str, deque[Waiting]] = field(default_factory=dict)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, waiting: Waiting) -> None:
        self.lines.setdefault(waiting.person, deque()).append(waiting)
        self.woken.set()

    def remove(self, waiting: Waiting) -> None:
        line = self.lines.get(waiting.person)
        if line is None:
            return
        if waiting in line:
            line.remove(waiting)
        if not line:
            del self.lines[waiting.person]

    def had_a_turn(self, person: int | str) -> None:
        """Whoever stood first goes to the end."""
        if (line := self.lines.pop(person, None)) is not None:
            self.lines[person] = line

    def heads(self) -> list[Waiting]:
        """The next call of everybody, in the order of their turns."""
        return [line[0] for line in self.lines.values()]

    def waiting(self, person: int | str) -> int:
        return len(self.lines.get(person, ()))


def too_fast(take: Take, refused: Refused, now: float, *, waiting: int = 0) -> TooFast:
    """In words: which limit of whom, how much of it is taken, and when to come again. `now`: epoch seconds. `waiting`: so many
    calls of the same person are in the queue, which is all that may be."""
    whose = WHOSE[refused.scope[0]]
    limit = f"{refused.limit:,} {_WORDS[refused.pace]}"
    if refused.hopeless:
        message = f"the limit of {whose} is {limit}: it lets no call pass"
        if refused.limit:
            message = f"this call alone takes more than the {limit} of {whose}: send less at once"
        error = TooFast(message, refused, retry_after_s=None)
        error.headers.append(_DO_NOT_REPEAT)
        return error
    wait_s = max(refused.retry_after_s, 1.0)
    when = f"try again in {math.ceil(wait_s)} s"
    if refused.pace == "rpd":
        zone = next((one.time_zone for one in take.terms if one.scope == refused.scope), "")
        when = f"there are more from {clock_text(now + wait_s, zone)} on"
    behind = f", and {waiting} calls wait already" if waiting else ""
    error = TooFast(
        f"the limit of {whose} is {limit}, {refused.used:,} are taken{behind}: {when}",
        refused,
        retry_after_s=wait_s,
    )
    if refused.pace == "rpd":
        error.headers.append(_DO_NOT_REPEAT)
    return error
