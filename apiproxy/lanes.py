"""The order in which credentials take calls: start-time fair queueing over a heap that is mended where it is touched. Pure.

Every credential has a tag, its virtual time: each call moves it on by its period, which is one over its share. Whoever
has the lowest tag is next, so all use up what they offered at the same pace. A tag keeps its phase within the period,
and the credentials of one contributor have phases spread evenly: their turns do not come in a row.

A lane holds the credentials that some models may use. One is in many lanes, and a call changes its tag in all of them:
tags only grow, so an entry that is out of date lies too far ahead in its heap and is put right when it comes up. So
is an entry of a credential that has left. What cannot be used is thus met once, not by every call. Slots are used
again; an entry of somebody who had the slot before is told by its number.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Sequence

from msgspec import Struct

from apiproxy.wire.types import Credential
from credentials.caps import NO_CAPS, Caps

_MOST_MENDED = 4
"""Entries that one call puts right."""
_LOOKED_AT = 16
"""Where the first is busy, or much is out of date, the least loaded of so many is taken."""
_GOLDEN = (math.sqrt(5) - 1) / 2

_ABSENT, _IN, _GONE = 0, 1, 2


class Standing(Struct, gc=False):
    """Where a credential stands in one scope: what keeps calls away from it, and until when. There may be a million: they
    hold nothing that the garbage collector would have to look at."""

    alarm_at: float = 0.0
    """When it is looked at again; 0 for never."""
    rest_until: float = 0.0
    rest_s: float = 0.0
    """How long the last rest was to be; the next is longer, when nobody says how long."""
    half_open: bool = False
    """It has rested, or rests, and nothing was answered since."""
    trying: bool = False
    """A call of this process finds out whether it works again."""
    held_until: float = 0.0
    """Another process finds it out."""
    spent_until: float = 0.0
    """Its contributor's cap is used up."""

    def blocked_until(self) -> float:
        return max(self.rest_until, self.held_until, self.spent_until)

    def blocked(self, now: float) -> bool:
        return self.trying or self.blocked_until() > now

    def recover(self) -> None:
        self.rest_until = self.rest_s = self.held_until = 0.0
        self.half_open = False


class Member:
    """A credential in the pool."""

    __slots__ = (
        "caps",
        "closes_at",
        "counted",
        "credential",
        "entry",
        "in_flight",
        "login",
        "number",
        "open",
        "period",
        "scopes",
        "slot",
        "tag",
        "whole",
    )

    def __init__(self, credential: Credential, slot: int, number: int) -> None:
        """`number`: of all that ever joined."""
        self.credential = credential
        self.caps: Caps = NO_CAPS
        self.counted = False
        """Its calls are counted against a cap."""
        self.login = ""
        self.slot = slot
        self.number = number
        self.period = 1.0
        self.tag = 0.0
        self.entry = (0.0, number, slot)
        """What stands in the heaps of all lanes: one object for all of them."""
        self.in_flight = 0
        self.open = False
        """It may take calls as a whole; the lanes know it."""
        self.closes_at = math.inf
        """When the hours that its contributor allows are over; while it is open."""
        self.whole = Standing()
        self.scopes: dict[str, Standing] = {}
        """By model; and by the glob of a cap, of which only `spent_until` counts."""

    @property
    def score(self) -> float:
        """A call that runs counts like one more that was taken: who is slow gets a little less."""
        return self.tag + self.in_flight * self.period

    def move_to(self, tag: float) -> None:
        self.tag = tag
        self.entry = (tag, self.number, self.slot)

    def catch_up(self, present: float) -> None:
        """To its own next turn after `present`: who was away neither makes up for it nor is flooded."""
        if self.tag < present:
            turns = math.ceil((present - self.tag) / self.period)
            self.move_to(self.tag + turns * self.period)

    def took_call(self, present: float) -> None:
        self.in_flight += 1
        if self.tag < present:
            self.catch_up(present)
        else:
            self.move_to(self.tag + self.period)


class Lane:
    """The credentials usable for some models. `model` is "" where no credential stands otherwise for one model only.
    `matched`: of the names and globs of the contributors' caps, those that fit the models of this lane."""

    __slots__ = (
        "_heap",
        "_looking_at",
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
        self._slots = slots
        self._heap: list[tuple[float, int, int]] = []
        self._places = bytearray()
        self._looking_at = 0.0
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

    def concerns(self, scope: str) -> bool:
        return scope == self.model or scope in self.matched

    def blocks(self, member: Member, now: float) -> bool:
        """Whether it can serve others only."""
        if not member.scopes:
            return False
        standing = member.scopes.get(self.model)
        if standing is not None and standing.blocked(now):
            return True
        return self._spent_until(member) > now

    def back_at(self, member: Member) -> float:
        """When nothing keeps these models from it; infinity while it is tried."""
        standing = member.scopes.get(self.model)
        if standing is None:
            return self._spent_until(member)
        if standing.trying:
            return math.inf
        return max(standing.blocked_until(), self._spent_until(member))

    def _spent_until(self, member: Member) -> float:
        until = 0.0
        for glob, _ in member.caps.model_calls_a_day:
            if glob in self.matched and (standing := member.scopes.get(glob)) is not None:
                until = max(until, standing.spent_until)
        return until

    def holds(self, member: Member) -> bool:
        return member.slot < len(self._places) and self._places[member.slot] == _IN

    def fill(self, members: Sequence[Member]) -> None:
        """For a new lane: all at once."""
        self._places = bytearray(len(self._slots))
        for member in members:
            self._places[member.slot] = _IN
        self._heap = [member.entry for member in members]
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
            heapq.heappush(self._heap, member.entry)
        self._places[slot] = _IN
        self.live += 1

    def drop(self, member: Member) -> None:
        if self.holds(member):
            self._places[member.slot] = _GONE
            self.live -= 1
            if len(self._heap) > 4 * self.live + 64:
                self._sweep()

    def vacate(self, slot: int) -> None:
        """Another one may have the slot from now on."""
        if slot < len(self._places):
            self._places[slot] = _ABSENT

    def _sweep(self) -> None:
        left = [entry for entry in self._heap if self._is_of_now(entry)]
        for _, _, slot in left:
            if self._places[slot] == _GONE:
                self._places[slot] = _ABSENT
        self._heap[:] = [entry for entry in left if self._places[entry[2]] == _IN]
        heapq.heapify(self._heap)

    def _is_of_now(self, entry: tuple[float, int, int]) -> bool:
        member = self._slots[entry[2]]
        return member is not None and member.number == entry[1]

    def next(self, exclude: Collection[int]) -> Member | None:
        """Who takes the next call. None when nobody here can."""
        heap, places, slots = self._heap, self._places, self._slots
        aside: list[tuple[float, int, int]] = []
        mended = 0
        first: Member | None = None
        while heap:
            tag, number, slot = heap[0]
            member = slots[slot]
            if member is None or member.number != number:
                heapq.heappop(heap)
            elif places[slot] == _GONE:
                heapq.heappop(heap)
                places[slot] = _ABSENT
            elif member.tag > tag and mended < _MOST_MENDED:
                heapq.heapreplace(heap, member.entry)
                mended += 1
            elif member.credential.id in exclude:
                aside.append(heapq.heappop(heap))
            else:
                first = member
                break
        if first is not None:
            if tag > self.present and not aside:
                self.present = tag
            if mended == _MOST_MENDED and len(heap) > _LOOKED_AT:
                first = self._least_of_some(first, exclude)
            elif first.in_flight or mended == _MOST_MENDED:
                first = self._least_loaded(first, exclude)
        for entry in aside:
            heapq.heappush(heap, entry)
        return first

    def _least_loaded(self, best: Member, exclude: Collection[int]) -> Member:
        """The head of a heap is not sorted, but those who come soon are in it; a small one is all there."""
        lowest = best.score
        for tag, _, slot in self._heap[1:_LOOKED_AT]:
            if tag >= lowest or self._places[slot] != _IN:
                continue
            member = self._slots[slot]
            if member is None or member.credential.id in exclude:
                continue
            score = member.score
            if score < lowest:
                best, lowest = member, score
        return best

    def _least_of_some(self, best: Member, exclude: Collection[int]) -> Member:
        """Where many lanes share their credentials the head is of those whom the others have just taken. Some from all over
        are nearly as good as knowing all."""
        heap, lowest = self._heap, best.score
        for _ in range(_LOOKED_AT):
            self._looking_at = (self._looking_at + _GOLDEN) % 1.0
            _, _, slot = heap[int(self._looking_at * len(heap))]
            member = self._slots[slot]
            if member is None or self._places[slot] != _IN or member.credential.id in exclude:
                continue
            score = member.score
            if score < lowest:
                best, lowest = member, score
        # They lie within about a turn of each other; what stands at the head may be much older.
        self.present = max(self.present, best.tag - best.period)
        return best

    def bound(self, key: int, exclude: Collection[int]) -> Member | None:
        """The one that a conversation belongs to: highest random weight, which every process finds alike and which
        moves only the conversations of a credential that goes. It looks at all of them."""
        best: Member | None = None
        highest = -math.inf
        for _, _, slot in self._heap:
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
