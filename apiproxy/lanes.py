"""The order in which credentials take calls: start-time fair queueing over a heap that is mended where it is touched. Pure.

Every credential has a tag, its virtual time: each call moves it on by its period, which is one over its share. Whoever
has the lowest tag is next, so all use up what they offered at the same pace. A tag keeps its phase within the period,
and the credentials of one contributor have phases spread evenly: their turns do not come in a row.

A lane holds the credentials that some models may use. One is in many lanes, and a call changes its tag in all of them:
tags only grow, so an entry that is out of date lies too far ahead in its heap and is put right when it comes up. So
does an entry of a credential that has left. What cannot be used is thus met once, not by every call.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Sequence

from apiproxy.wire.types import Credential
from credentials.caps import NO_CAPS, Caps

_MOST_MENDED = 4
"""Entries that one call puts right; what is left then is at most that little out of order."""
_LOOKED_AT = 16
"""Where the first is busy, the least loaded of so many is taken."""

_ABSENT, _IN, _GONE = 0, 1, 2


class Standing:
    """Where a credential stands as a whole, or for one model: what keeps calls away from it, and until when."""

    __slots__ = (
        "alarm_at",
        "half_open",
        "held_until",
        "rest_s",
        "rest_until",
        "spent_until",
        "trying",
    )

    def __init__(self) -> None:
        self.alarm_at = 0.0
        """When it is looked at again; 0 for never."""
        self.rest_until = 0.0
        self.rest_s = 0.0
        """How long the last rest was to be; the next is longer, when nobody says how long."""
        self.half_open = False
        """It has rested, or rests, and nothing was answered since."""
        self.trying = False
        """A call of this process finds out whether it works again."""
        self.held_until = 0.0
        """Another process finds it out."""
        self.spent_until = 0.0
        """Its contributor's cap is used up."""

    def blocked_until(self) -> float:
        return max(self.rest_until, self.held_until, self.spent_until)

    def blocked(self, now: float) -> bool:
        return self.trying or self.blocked_until() > now

    def recover(self) -> None:
        self.rest_until = self.rest_s = self.held_until = 0.0
        self.half_open = False

    @property
    def blank(self) -> bool:
        """Nothing is held against it, so nothing need be remembered."""
        return not (self.half_open or self.trying or self.spent_until or self.held_until)


class Member:
    """A credential in the pool."""

    __slots__ = (
        "caps",
        "closed_until",
        "counted",
        "credential",
        "in_flight",
        "login",
        "models",
        "open",
        "period",
        "slot",
        "tag",
        "whole",
    )

    def __init__(self, credential: Credential, slot: int) -> None:
        self.credential = credential
        self.caps: Caps = NO_CAPS
        self.counted = False
        """Its calls are counted against a cap."""
        self.login = ""
        self.slot = slot
        self.period = 1.0
        self.tag = 0.0
        self.in_flight = 0
        self.open = False
        """It may take calls as a whole; the lanes know it."""
        self.closed_until = 0.0
        """Outside the hours that its contributor allows."""
        self.whole = Standing()
        self.models: dict[str, Standing] = {}

    @property
    def score(self) -> float:
        """A call that runs counts like one more that was taken: who is slow gets a little less."""
        return self.tag + self.in_flight * self.period

    def catch_up(self, present: float) -> None:
        """To its own next turn after `present`: who was away neither makes up for it nor is flooded."""
        if self.tag < present:
            self.tag += math.ceil((present - self.tag) / self.period) * self.period

    def took_call(self, present: float) -> None:
        self.in_flight += 1
        if self.tag < present:
            self.catch_up(present)
        else:
            self.tag += self.period


class Lane:
    """The credentials usable for some models. `model` is "" where no credential stands otherwise for one model only."""

    __slots__ = (
        "_heap",
        "_places",
        "_slots",
        "last_use",
        "live",
        "matched",
        "model",
        "present",
        "providers",
    )

    def __init__(
        self,
        slots: Sequence[Member | None],
        providers: tuple[str, ...],
        model: str,
        matched: frozenset[str],
    ) -> None:
        """`matched`: of the names and globs that contributors allow, those that fit the models of this lane."""
        self._slots = slots
        self._heap: list[tuple[float, int]] = []
        self._places = bytearray()
        self.providers = providers
        self.model = model
        self.matched = matched
        self.live = 0
        self.last_use = 0.0
        self.present = 0.0
        """The lowest tag of those here, never falling: where newcomers begin."""

    def admits(self, member: Member) -> bool:
        if member.credential.provider not in self.providers:
            return False
        allowed = member.caps.models
        return not allowed or not self.matched.isdisjoint(allowed)

    def holds(self, member: Member) -> bool:
        return member.slot < len(self._places) and self._places[member.slot] == _IN

    def fill(self, members: Sequence[Member]) -> None:
        """For a new lane: all at once."""
        self._places = bytearray(len(self._slots))
        for member in members:
            self._places[member.slot] = _IN
        self._heap = [(member.tag, member.slot) for member in members]
        heapq.heapify(self._heap)
        self.live = len(members)

    def add(self, member: Member) -> None:
        slot = member.slot
        if slot >= len(self._places):
            self._places.extend(bytes(slot + 64 - len(self._places)))
        place = self._places[slot]
        if place == _IN:
            return
        if place == _ABSENT:
            heapq.heappush(self._heap, (member.tag, slot))
        self._places[slot] = _IN
        self.live += 1

    def drop(self, member: Member) -> None:
        if self.holds(member):
            self._places[member.slot] = _GONE
            self.live -= 1
            if len(self._heap) > 4 * self.live + 64:
                self._sweep()

    def _sweep(self) -> None:
        for _, slot in self._heap:
            if self._places[slot] == _GONE:
                self._places[slot] = _ABSENT
        self._heap[:] = [entry for entry in self._heap if self._places[entry[1]] == _IN]
        heapq.heapify(self._heap)

    def next(self, exclude: Collection[int]) -> Member | None:
        """Who takes the next call. None when nobody here can."""
        heap, places, slots = self._heap, self._places, self._slots
        aside: list[tuple[float, int]] = []
        mended = 0
        first: Member | None = None
        while heap:
            tag, slot = heap[0]
            member = slots[slot]
            if places[slot] == _GONE or member is None:
                heapq.heappop(heap)
                places[slot] = _ABSENT
            elif member.tag > tag and mended < _MOST_MENDED:
                heapq.heapreplace(heap, (member.tag, slot))
                mended += 1
            elif member.credential.id in exclude:
                aside.append(heapq.heappop(heap))
            else:
                first = member
                break
        if first is not None:
            if tag > self.present and not aside:
                self.present = tag
            if first.in_flight or mended == _MOST_MENDED:
                first = self._least_loaded(first, exclude)
        for entry in aside:
            heapq.heappush(heap, entry)
        return first

    def _least_loaded(self, best: Member, exclude: Collection[int]) -> Member:
        """The head of a heap is not sorted, but those who come soon are in it; a small one is all there."""
        lowest = best.score
        for tag, slot in self._heap[1:_LOOKED_AT]:
            if tag >= lowest or self._places[slot] != _IN:
                continue
            member = self._slots[slot]
            if member is None or member.credential.id in exclude:
                continue
            score = member.score
            if score < lowest:
                best, lowest = member, score
        return best

    def bound(self, key: int, exclude: Collection[int]) -> Member | None:
        """The one that a conversation belongs to: highest random weight, which every process finds alike and which
        moves only the conversations of a credential that goes. It looks at all of them."""
        best: Member | None = None
        highest = -math.inf
        for _, slot in self._heap:
            member = self._slots[slot]
            if self._places[slot] != _IN or member is None or member.credential.id in exclude:
                continue
            weight = _drawn(key, member.credential.id) * member.period
            if weight > highest:
                best, highest = member, weight
        return best


def _drawn(key: int, credential_id: int) -> float:
    """The logarithm of a number between 0 and 1 that depends on nothing but these two."""
    mixed = (key ^ (credential_id * 0x9E3779B97F4A7C15)) & 0xFFFFFFFFFFFFFFFF
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        mixed = ((mixed ^ (mixed >> 33)) * factor) & 0xFFFFFFFFFFFFFFFF
    return math.log(((mixed ^ (mixed >> 33)) + 1) / 2**64)
