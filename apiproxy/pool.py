"""Which credential is next. In memory, synchronous, the clock injected: no lock, no I/O. Pure.

Choice: usable for the model, then whoever has given the least of what they offered (see `lanes`). A credential whose rest
is over is half-open: it takes one call at a time until one is answered. When somebody is back stands in heaps of alarms,
one for whole credentials and one a model, and is seen to by the calls that it concerns; whose hours are over is found
when it would be next.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase
from operator import attrgetter
from zlib import crc32

import msgspec
from msgspec import Struct

from apiproxy.lanes import Lane, Member, Standing
from apiproxy.wire.types import Credential, Fault, Verdict
from credentials.caps import NO_CAPS, Caps, window
from credentials.states import ROUNDED_S
from gateway.lib.errors import PoolExhausted

WHOLE = ""
"""The scope of what concerns a credential for every model; any other scope is the name of a model, or the glob of a cap
that is used up."""

_FULL_SHARE_CALLS = 1000
"""A day's calls from which on a cap is no reason to spare a credential: about what Google gives an account."""
# A lane has a pointer and a place for each credential. A catalogue of hundreds of models keeps a lane for each; where all
# do not fit, the one that was not used for longest is made anew when it is asked for.
_LANES_BYTES = 64 * 2**20
_PLACE_BYTES = 9
_MOST_LANES = 1024
_FEWEST_LANES = 128
_MOST_ROUTES = 4096
_MOST_ROTATIONS = 1024
# So many alarms a call sees to, as all may be due at once; more, step by step, when there is nobody to take it.
_ALARMS_A_CALL = 1
_ALARMS_A_STEP = 16
# For each thousand credentials looked at, which takes about a millisecond: a twentieth of the time at most.
_BACK_KEPT_S = 0.02
_LONGEST_GUESS_S = {"quota": 24 * 3600.0, "credits": 24 * 3600.0}
_LONGEST_GUESSED_RATE_S = 3600.0
_last_use = attrgetter("last_use")
_GOLDEN = (math.sqrt(5) - 1) / 2
_SILVER = math.sqrt(2) - 1


class Lease(Struct, frozen=True):
    """A credential lent to one call. `trying`: the scopes in which it is half-open; this call finds out. `limits`: the
    (scope, calls a day) of its contributor's caps that the call counts against."""

    credential: Credential
    model: str
    trying: tuple[str, ...] = ()
    limits: tuple[tuple[str, int], ...] = ()

    @property
    def guarded(self) -> bool:
        """All processes have to agree before it may be used."""
        return bool(self.trying or self.limits)


class BeingTried(PoolExhausted):
    """Nobody is free but whom another call is trying just now: soon more is known."""


class Pool:
    def __init__(self, clock: Callable[[], float], *, calls_per_rotation: int = 0) -> None:
        """`calls_per_rotation`: so many calls of a model in a row go to one credential; 0 for off."""
        self._clock = clock
        self._calls_per_rotation = calls_per_rotation
        self._members: dict[int, Member] = {}
        self._slots: list[Member | None] = []
        self._free_slots: list[int] = []
        self._joined = 0
        self._providers: Counter[str] = Counter()
        self._lent_by: Counter[tuple[str, int]] = Counter()
        self._logins: dict[str, set[int]] = {}
        self._draining: dict[int, int] = {}
        self._lanes: dict[tuple[tuple[str, ...], str, frozenset[str]], Lane] = {}
        self._routes: dict[tuple[tuple[str, ...], str], Lane] = {}
        self._globs: Counter[str] = Counter()
        """What contributors allow or limit, and how many of them do."""
        self._apart: Counter[str] = Counter()
        """Models for which credentials stand otherwise than as a whole, and how many do."""
        self._alarms: dict[str, list[tuple[float, int]]] = {WHOLE: []}
        self._rotations: OrderedDict[tuple[tuple[str, ...], str], tuple[int, int]] = OrderedDict()
        self._given_back: set[int] = set()
        self._backs: dict[Lane, tuple[float, bool]] = {}
        """When somebody is back: worked out once for as long as nothing changes, and in a large pool for a while longer."""
        self._backs_outdated = False
        self._backs_kept_until = 0.0

    # What is known of the credentials

    def rotate_after(self, calls: int) -> None:
        """As `calls_per_rotation`, from the next call on."""
        self._calls_per_rotation = calls
        self._rotations.clear()

    def put(self, credential: Credential, *, caps: Caps = NO_CAPS, login: str = "") -> None:
        """Add a credential, or take its new token, weight, caps; calls in flight keep the old one. `login`: the same for
        those that draw on the quota of one account."""
        member = known = self._members.get(credential.id)
        if member is None:
            member = self._join(credential)
        member.credential = credential
        if caps != member.caps:
            self._allow(member, caps)
        if login != member.login:
            self._share_login(member, login)
        self._set_period(member)
        if known is None:
            member.move_to(self._phase(credential) * member.period)
        self._review(member, self._clock())

    def renew(self, credential: Credential) -> None:
        """Take its new token or project. Nothing for one that has left meanwhile: it may be paused or taken back."""
        if (member := self._members.get(credential.id)) is not None:
            member.credential = credential

    def remove(self, credential_id: int) -> None:
        """Calls in flight go on; `draining` says how many."""
        member = self._members.get(credential_id)
        if member is None:
            return
        self._leave(member)
        self._allow(member, NO_CAPS)
        self._share_login(member, "")
        for scope in list(member.scopes):
            self._forget(member, scope)
        del self._members[credential_id]
        self._vacate(member.slot)
        self._providers[member.credential.provider] -= 1
        self._lent_by[_lender(member.credential)] -= 1
        if member.in_flight:
            self._draining[credential_id] = member.in_flight
        self._backs_outdated = True

    def get(self, credential_id: int) -> Credential | None:
        member = self._members.get(credential_id)
        return member.credential if member else None

    def rest(self, credential_id: int, scope: str, until: float) -> None:
        """Rest for a model, or as a whole; half-open afterwards, at once for an `until` in the past. 0: it is known to
        work."""
        member = self._members.get(credential_id)
        if member is None or (not until and scope and scope not in member.scopes):
            return
        standing = self._standing(member, scope)
        if not until:
            standing.recover()
        elif not standing.rest_until <= until < standing.rest_until + ROUNDED_S:
            now = self._clock()
            standing.rest_until = until
            standing.rest_s = max(until - now, 0.0)
            standing.held_until = 0.0
            standing.half_open = True
        self._review_scope(member, scope)

    def begin_count(self) -> None:
        """Before it is read whose calls of the day are used up."""
        self._given_back.clear()

    def spent(self, credential_ids: Collection[int], until: float) -> None:
        """Those whose calls of the day are used up, as a whole; what was known before is forgotten. Who got a call back
        since the count began is none of them."""
        now = self._clock()
        credential_ids = set(credential_ids) - self._given_back
        for member in self._members.values():
            if member.caps.calls_a_day is None:
                continue
            spent_until = until if member.credential.id in credential_ids else 0.0
            if spent_until != member.whole.spent_until:
                member.whole.spent_until = spent_until
                self._review(member, now)

    # Calls

    def acquire(
        self,
        model: str,
        providers: tuple[str, ...],
        exclude: Collection[int] = (),
        sticky: str = "",
    ) -> Lease:
        """Raises PoolExhausted, with the seconds until the first credential is back when that is known.

        `sticky`: calls with the same words go to the same credential while it is usable."""
        now = self._clock()
        lane = self._routes.get((providers, model)) or self._route(providers, model)
        lane.last_use = now
        self._wake_for(lane, now, _ALARMS_A_CALL)
        member = self._choose(lane, model, exclude, sticky, now)
        while member is None:
            if not self._wake_for(lane, now, _ALARMS_A_STEP):
                raise self._exhausted(lane, model, now)
            member = self._choose(lane, model, exclude, sticky, now)
        member.took_call(lane.present)
        trying = self._begin_trying(member, model, now)
        limits = member.caps.limits(model) if member.counted else ()
        return Lease(member.credential, model, trying, limits)

    def release(self, lease: Lease, verdict: Verdict | None) -> Verdict | None:
        """Give a credential back. None means nothing was learned of it (the client left). The verdict comes back, with
        a longer rest where it had to be guessed once more."""
        member = self._members.get(lease.credential.id)
        if member is None:
            self._drain(lease.credential.id)
        else:
            member.in_flight -= 1
            if lease.trying:
                self._end_trying(member, lease, verdict is not None and verdict.fault is Fault.OK)
        if verdict is None or verdict.fault is Fault.OK:
            return verdict
        return self.apply(lease.credential.id, lease.model, verdict)

    def answered(self, lease: Lease) -> bool:
        """The call gets an answer, be it not complete: it works again. Whether that is news."""
        member = self._members.get(lease.credential.id)
        return member is not None and self._end_trying(member, lease, True)

    def refuse(self, lease: Lease, scope: str, until: float, *, spent: bool) -> None:
        """The call did not get its permit: the cap of a scope, which may be a glob, is used up, or another process tries
        the credential."""
        member = self._members.get(lease.credential.id)
        if member is None:
            self._drain(lease.credential.id)
            return
        member.in_flight -= 1
        if not spent:
            self._standing(member, scope).held_until = until
        elif lease.limits == member.caps.limits(lease.model):  # as it was asked for
            # By its glob: clients can make up names that fit it without end.
            self._standing(member, scope).spent_until = until
        self._end_trying(member, lease, False)
        self._review_scope(member, scope)

    def unspent(self, credential_id: int) -> None:
        """A call was given back: there is one more to take."""
        self._given_back.add(credential_id)
        member = self._members.get(credential_id)
        if member is None:
            return
        for scope in (WHOLE, *member.scopes):
            standing = self._standing(member, scope)
            if standing.spent_until:
                standing.spent_until = 0.0
                self._review_scope(member, scope)

    def apply(self, credential_id: int, model: str, verdict: Verdict) -> Verdict:
        """What a verdict means for later calls: a rest, or that the credential is out."""
        member = self._members.get(credential_id)
        if member is None:
            return verdict
        if verdict.fault is Fault.COOL_DOWN:
            scope = WHOLE if verdict.whole else model
            if verdict.guessed:
                verdict = self._guess_again(member, scope, verdict)
            standing = self._look_up(member, scope)
            # A short limit met by a call that was under way does not shorten a long rest.
            self.rest(
                credential_id, scope, max(verdict.until, standing.rest_until if standing else 0.0)
            )
        elif verdict.fault is Fault.DISABLE:
            self.remove(credential_id)
        elif verdict.fault is Fault.OK:
            now = self._clock()
            for scope in (WHOLE, model):
                standing = self._look_up(member, scope)
                if standing is None or not standing.half_open:
                    continue
                if standing.rest_until <= now + ROUNDED_S:
                    standing.recover()
                    self._review_scope(member, scope)
        return verdict

    # What others want to know

    def serves(self, providers: Collection[str]) -> bool:
        """Whether there is a credential of one of these, be it resting."""
        return any(self._providers[provider] > 0 for provider in providers)

    def usable(self, model: str, providers: Collection[str]) -> int:
        """How many credentials could take a call of the model now."""
        now = self._clock()
        lane = self._route(tuple(providers), model)
        return sum(
            lane.admits(member) and self._back_at(member, lane, now) <= now
            for member in self._members.values()
        )

    def has(self, model: str, providers: tuple[str, ...], exclude: Collection[int]) -> bool:
        """Whether another one could take the call now."""
        now = self._clock()
        lane = self._route(providers, model)
        while (member := lane.next(exclude)) is None or member.closes_at <= now:
            if member is not None:
                self._review(member, now)
            elif not self._wake_for(lane, now, _ALARMS_A_STEP):
                return False
        return True

    def in_flight(self) -> int:
        running = sum(member.in_flight for member in self._members.values())
        return running + sum(self._draining.values())

    def draining(self) -> dict[int, int]:
        """Calls in flight of credentials that are no longer here."""
        return dict(self._draining)

    @property
    def counts(self) -> bool:
        """Whether any credential has a cap on the calls of its day."""
        return any(member.caps.calls_a_day is not None for member in self._members.values())

    # Joining, sharing

    def _join(self, credential: Credential) -> Member:
        slot = self._free_slots.pop() if self._free_slots else len(self._slots)
        if slot == len(self._slots):
            self._slots.append(None)
        self._joined += 1
        self._slots[slot] = member = Member(credential, slot, self._joined)
        member.in_flight = self._draining.pop(credential.id, 0)
        self._members[credential.id] = member
        self._providers[credential.provider] += 1
        return member

    def _vacate(self, slot: int) -> None:
        self._slots[slot] = None
        self._free_slots.append(slot)
        for lane in self._lanes.values():
            lane.vacate(slot)

    def _phase(self, credential: Credential) -> float:
        """Multiples of the golden section lie apart however many there are."""
        lender = _lender(credential)
        turn = self._lent_by[lender] * _GOLDEN + credential.contributor_id * _SILVER
        self._lent_by[lender] += 1
        return turn % 1.0

    def _allow(self, member: Member, caps: Caps) -> None:
        """Take new caps; `_review` lets it back in."""
        self._leave(member)
        known = set(self._globs)
        self._globs.subtract(_globs_of(member.caps))
        self._globs.update(_globs_of(caps))
        self._globs = +self._globs
        if known != set(self._globs):
            self._routes.clear()
            for key, lane in list(self._lanes.items()):
                if lane.model and lane.matched != self._matched(lane.model):
                    del self._lanes[key]
        member.caps = caps
        member.counted = caps.counted
        member.whole.spent_until = 0.0
        for scope in list(member.scopes):
            member.scopes[scope].spent_until = 0.0
            self._review_scope(member, scope)

    def _share_login(self, member: Member, login: str) -> None:
        before, member.login = member.login, login
        if before:
            self._logins[before].discard(member.credential.id)
        if login:
            self._logins.setdefault(login, set()).add(member.credential.id)
        for name in filter(None, (before, login)):
            for sibling in self._logins[name]:
                self._set_period(self._members[sibling])
            if not self._logins[name]:
                del self._logins[name]

    def _set_period(self, member: Member) -> None:
        """Projects of one account share its quota, and a small cap is to last the day."""
        share = float(max(member.credential.weight, 1))
        calls = member.caps.calls_a_day
        if calls is not None and calls < _FULL_SHARE_CALLS:
            share *= max(calls, 1) / _FULL_SHARE_CALLS
        if member.login:
            share /= len(self._logins[member.login])
        period = 1.0 / share
        # The same place in a longer period. Tags never fall, so in a shorter one its turn comes when it would have.
        longer = max(period / member.period - 1.0, 0.0)
        member.move_to(member.tag + member.tag % member.period * longer)
        member.period = period

    # Lanes

    def _route(self, providers: tuple[str, ...], model: str) -> Lane:
        """The lane for calls of a model. Names that clients make up share the lanes of names like them."""
        if (lane := self._routes.get((providers, model))) is not None:
            return lane
        own = model if model in self._apart else ""
        matched = self._matched(model)
        key = (providers, own, matched)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = self._new_lane(providers, own, matched)
        if len(self._routes) >= _MOST_ROUTES:
            self._routes.clear()
        self._routes[providers, model] = lane
        return lane

    def _new_lane(self, providers: tuple[str, ...], model: str, matched: frozenset[str]) -> Lane:
        if len(self._lanes) >= self._most_lanes:
            oldest = min(self._lanes, key=lambda key: self._lanes[key].last_use)
            del self._lanes[oldest]
            self._routes.clear()
        lane = Lane(self._slots, providers, model, matched)
        now = self._clock()
        lane.fill(
            [
                member
                for member in self._members.values()
                if member.open and lane.admits(member) and not lane.blocks(member, now)
            ]
        )
        alike = [other for other in self._lanes.values() if other.providers == providers]
        if alike:
            lane.present = max(alike, key=lambda other: other.last_use).present
        return lane

    @property
    def _most_lanes(self) -> int:
        fitting = _LANES_BYTES // (_PLACE_BYTES * max(len(self._slots), 1))
        return max(_FEWEST_LANES, min(fitting, _MOST_LANES))

    def _matched(self, model: str) -> frozenset[str]:
        return frozenset(glob for glob in self._globs if fnmatchcase(model, glob))

    def _enter(self, member: Member, now: float) -> None:
        if member.open:
            return
        member.open = True
        lanes = [lane for lane in self._lanes.values() if lane.admits(member)]
        if lanes:
            present = max(lanes, key=_last_use).present
            if any(lane.live for lane in lanes):
                member.catch_up(present)
            else:  # it is its turn, as there is nobody else
                member.move_to(max(member.tag, present))
        if member.scopes:
            lanes = [lane for lane in lanes if not lane.blocks(member, now)]
        for lane in lanes:
            lane.add(member)

    def _leave(self, member: Member) -> None:
        if not member.open:
            return
        member.open = False
        for lane in self._lanes.values():
            lane.drop(member)

    # Standings

    def _look_up(self, member: Member, scope: str) -> Standing | None:
        return member.scopes.get(scope) if scope else member.whole

    def _standing(self, member: Member, scope: str) -> Standing:
        if not scope:
            return member.whole
        standing = member.scopes.get(scope)
        if standing is None:
            standing = member.scopes[scope] = Standing()
            self._apart[scope] += 1
            if self._apart[scope] == 1:
                # Its calls need a lane of their own from now on.
                self._routes.clear()
        return standing

    def _forget(self, member: Member, scope: str) -> None:
        del member.scopes[scope]
        self._apart[scope] -= 1
        if not self._apart[scope]:
            del self._apart[scope]
            self._alarms.pop(scope, None)

    def _review_scope(self, member: Member, scope: str) -> None:
        if scope:
            self._review_part(member, scope, self._clock())
        else:
            self._review(member, self._clock())

    def _review(self, member: Member, now: float) -> None:
        """Let it in or out as it stands now, and look again when that changes by itself."""
        self._backs_outdated = True
        whole = member.whole
        inside, changes_at = window(member.caps.hours, now)
        if whole.blocked(now) or not inside or member.caps.calls_a_day == 0:
            self._leave(member)
            opens_at = 0.0 if inside else changes_at
            self._look_again(WHOLE, member, max(whole.blocked_until(), opens_at), now)
        else:
            member.closes_at = changes_at
            self._enter(member, now)

    def _review_part(self, member: Member, scope: str, now: float) -> None:
        """The same for a model, or for those that fit a glob."""
        self._backs_outdated = True
        standing = member.scopes.get(scope)
        if standing is None:
            return
        if member.open:
            for lane in self._lanes.values():
                if not lane.concerns(scope):
                    continue
                if lane.blocks(member, now):
                    lane.drop(member)
                elif lane.admits(member):
                    member.catch_up(lane.present)
                    lane.add(member)
        if standing.blocked(now):
            self._look_again(scope, member, standing.blocked_until(), now)
        elif not standing.half_open:
            self._forget(member, scope)

    def _look_again(self, scope: str, member: Member, at: float, now: float) -> None:
        standing = self._standing(member, scope)
        if now < at < math.inf and not (now < standing.alarm_at <= at):
            standing.alarm_at = at
            alarms = self._alarms.setdefault(scope, [])
            heapq.heappush(alarms, (at, member.slot))
            if len(alarms) > 4 * len(self._members) + 64:
                alarms[:] = {alarm for alarm in alarms if self._still_set(scope, *alarm)}
                heapq.heapify(alarms)

    def _still_set(self, scope: str, at: float, slot: int) -> bool:
        """Another alarm may have been set since, or the credential may have left."""
        member = self._slots[slot]
        standing = None if member is None else self._look_up(member, scope)
        return standing is not None and standing.alarm_at == at

    def _wake_for(self, lane: Lane, now: float, most: int) -> bool:
        """Whether any alarm was due."""
        due = self._wake(WHOLE, now, most)
        if lane.model:
            due = self._wake(lane.model, now, most) or due
        for glob in lane.matched:
            due = self._wake(glob, now, most) or due
        return due

    def _wake(self, scope: str, now: float, most: int) -> bool:
        alarms = self._alarms.get(scope)
        if not alarms or alarms[0][0] > now:
            return False
        while alarms and alarms[0][0] <= now and most:
            most -= 1
            _, slot = heapq.heappop(alarms)
            if (member := self._slots[slot]) is not None:
                self._review_scope(member, scope)
        return True

    # One call

    def _choose(
        self, lane: Lane, model: str, exclude: Collection[int], sticky: str, now: float
    ) -> Member | None:
        while True:
            if sticky:
                member = lane.bound(crc32(sticky.encode()), exclude)
            elif self._calls_per_rotation:
                member = self._rotate(lane, model, exclude)
            else:
                member = lane.next(exclude)
            if member is None or now < member.closes_at:
                return member
            self._review(member, now)

    def _rotate(self, lane: Lane, model: str, exclude: Collection[int]) -> Member | None:
        key = (lane.providers, model)
        credential_id, left = self._rotations.get(key, (0, 0))
        member = self._members.get(credential_id)
        if not left or member is None or credential_id in exclude or not lane.holds(member):
            member = lane.next(exclude)
            left = self._calls_per_rotation
        if member is not None:
            self._rotations[key] = (member.credential.id, left - 1)
            self._rotations.move_to_end(key)
            if len(self._rotations) > _MOST_ROTATIONS:
                self._rotations.popitem(last=False)
        return member

    def _begin_trying(self, member: Member, model: str, now: float) -> tuple[str, ...]:
        trying: tuple[str, ...] = ()
        if member.whole.half_open:
            trying = (WHOLE,)
            member.whole.trying = True
            self._review(member, now)
        standing = member.scopes.get(model)
        if standing is not None and standing.half_open:
            trying += (model,)
            standing.trying = True
            self._review_part(member, model, now)
        return trying

    def _end_trying(self, member: Member, lease: Lease, works: bool) -> bool:
        ended = False
        for scope in lease.trying:
            standing = self._look_up(member, scope)
            if standing is None or not standing.trying:
                continue
            ended = True
            standing.trying = False
            if works:
                standing.recover()
            self._review_scope(member, scope)
        return ended

    def _drain(self, credential_id: int) -> None:
        left = self._draining.get(credential_id, 0) - 1
        if left > 0:
            self._draining[credential_id] = left
        else:
            self._draining.pop(credential_id, None)

    def _guess_again(self, member: Member, scope: str, verdict: Verdict) -> Verdict:
        """Nobody said how long to rest, and the last guess was too short."""
        now = self._clock()
        standing = self._look_up(member, scope)
        if standing is None or not standing.half_open or standing.rest_until > now:
            return verdict
        longest = _LONGEST_GUESS_S.get(verdict.kind, _LONGEST_GUESSED_RATE_S)
        rest_s = max(verdict.until - now, min(2 * standing.rest_s, longest))
        return msgspec.structs.replace(verdict, until=now + rest_s)

    def _back_at(self, member: Member, lane: Lane, now: float) -> float:
        """When it may take a call of the lane, as far as that is known; infinity while it is being tried."""
        if member.caps.calls_a_day == 0 or member.whole.trying:
            return math.inf
        inside, changes_at = window(member.caps.hours, now)
        return max(
            member.whole.blocked_until(), 0.0 if inside else changes_at, lane.back_at(member)
        )

    def _exhausted(self, lane: Lane, model: str, now: float) -> PoolExhausted:
        if lane.live:
            return PoolExhausted(f"every credential that serves {model} failed this call")
        if not self.serves(lane.providers):
            return PoolExhausted(
                f"nobody has lent a credential that serves {model} yet: ask the operator of this site"
            )
        at, being_tried = self._known_back(lane, now)
        if being_tried:
            return BeingTried(
                f"the only credential that serves {model} is being tried after a rest: try again in 2 s",
                retry_after_s=2.0,
            )
        if at == math.inf:
            return PoolExhausted(
                f"nobody who lends credentials to this site allows {model}: ask its operator"
            )
        wait = max(at - now, 1.0)
        return PoolExhausted(
            f"every credential that serves {model} is resting: try again in {int(wait) + 1} s",
            retry_after_s=wait,
        )

    def _known_back(self, lane: Lane, now: float) -> tuple[float, bool]:
        """As `_first_back`, but where much changes not everybody is looked at for each call."""
        if self._backs_outdated and now >= self._backs_kept_until:
            self._backs.clear()
            self._backs_outdated = False
            self._backs_kept_until = now
        back = self._backs.get(lane)
        if back is None:
            if len(self._backs) > len(self._lanes):
                self._backs.clear()
            back = self._backs[lane] = self._first_back(lane, now)
            self._backs_kept_until += len(self._members) // 1000 * _BACK_KEPT_S
        return back

    def _first_back(self, lane: Lane, now: float) -> tuple[float, bool]:
        """(when the first one is back, whether one is being tried)"""
        at, being_tried = math.inf, False
        for member in self._members.values():
            if not lane.admits(member):
                continue
            standings = [s for s in (member.whole, member.scopes.get(lane.model)) if s is not None]
            if any(s.trying or s.held_until > now for s in standings):
                being_tried = True
            else:
                at = min(at, self._back_at(member, lane, now))
        return at, being_tried


def _lender(credential: Credential) -> tuple[str, int]:
    return credential.provider, credential.contributor_id


def _globs_of(caps: Caps) -> set[str]:
    return {*caps.models, *(glob for glob, _ in caps.model_calls_a_day)}
