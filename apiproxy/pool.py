"""Which credential is next. In memory, synchronous, the clock injected: no lock, no I/O. Pure.

Choice: usable for the model, then whoever has given the least of what they offered (see `lanes`). A credential whose rest
is over is half-open: it takes one call at a time until one is answered. What changes with time stands in heaps of
alarms, one for whole credentials and one a model, and is seen to by the calls that it concerns.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator
from fnmatch import fnmatchcase
from zlib import crc32

import msgspec
from msgspec import Struct

from apiproxy.lanes import Lane, Member, Standing
from apiproxy.wire.types import Credential, Fault, Verdict
from credentials.caps import NO_CAPS, Caps, window
from gateway.lib.errors import PoolExhausted

WHOLE = ""
"""The scope of what concerns a credential for every model; any other scope is the name of a model."""

_FULL_SHARE_CALLS = 1000
"""A day's calls from which on a cap is no reason to spare a credential: about what Google gives an account."""
_MOST_LANES = 128
_MOST_ROUTES = 4096
_MOST_ROTATIONS = 1024
# So many alarms a call sees to; the others wait for the next ones, unless there is nobody to take this one.
_ALARMS_A_CALL = 4
_ALL = 1 << 60
_LONGEST_GUESS_S = {"quota": 24 * 3600.0, "credits": 24 * 3600.0}
_LONGEST_GUESSED_RATE_S = 3600.0
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
    def __init__(
        self, clock: Callable[[], float], *, calls_per_rotation: int = 0, seed: float = 0.0
    ) -> None:
        """`calls_per_rotation`: so many calls of a model in a row go to one credential; 0 for off. `seed`, 0 to 1, shifts
        the turns, so that processes that start together do not all begin with the same credential."""
        self._clock = clock
        self._calls_per_rotation = calls_per_rotation
        self._seed = seed
        self._members: dict[int, Member] = {}
        self._slots: list[Member | None] = []
        self._providers: Counter[str] = Counter()
        self._lent_by: Counter[tuple[str, int]] = Counter()
        self._logins: dict[str, set[int]] = {}
        self._draining: dict[int, int] = {}
        self._lanes: dict[tuple[tuple[str, ...], str, frozenset[str]], Lane] = {}
        self._routes: dict[tuple[tuple[str, ...], str], Lane] = {}
        self._globs: Counter[str] = Counter()
        """What contributors allow, and how many of them do."""
        self._apart: Counter[str] = Counter()
        """Models for which credentials stand otherwise than as a whole, and how many do."""
        self._alarms: dict[str, list[tuple[float, int]]] = {WHOLE: []}
        self._rotations: OrderedDict[tuple[tuple[str, ...], str], tuple[int, int]] = OrderedDict()
        self._backs: dict[tuple[tuple[str, ...], str], tuple[float, bool]] = {}
        """When somebody is back: worked out once for as long as nothing changes."""

    # What is known of the credentials

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
            member.tag = self._phase(credential) * member.period
        self._review(member, self._clock())

    def remove(self, credential_id: int) -> None:
        """Calls in flight go on; `draining` says how many."""
        member = self._members.get(credential_id)
        if member is None:
            return
        self._leave(member)
        self._allow(member, NO_CAPS)
        self._share_login(member, "")
        for model in list(member.models):
            self._forget(member, model)
        del self._members[credential_id]
        self._slots[member.slot] = None
        self._providers[member.credential.provider] -= 1
        self._lent_by[_lender(member.credential)] -= 1
        if member.in_flight:
            self._draining[credential_id] = member.in_flight
        self._backs.clear()

    def get(self, credential_id: int) -> Credential | None:
        member = self._members.get(credential_id)
        return member.credential if member else None

    def rest(self, credential_id: int, scope: str, until: float) -> None:
        """Rest for a model, or as a whole; half-open afterwards, at once for an `until` in the past. 0: it is known to
        work."""
        member = self._members.get(credential_id)
        if member is None or (not until and scope and scope not in member.models):
            return
        standing = self._standing(member, scope)
        if not until:
            standing.recover()
        elif until != standing.rest_until:
            now = self._clock()
            standing.rest_until = until
            standing.rest_s = max(until - now, 0.0)
            standing.held_until = 0.0
            standing.half_open = True
        self._review_scope(member, scope)

    def spent(self, credential_ids: Collection[int], until: float) -> None:
        """Those whose calls of the day are used up, as a whole; what was known before is forgotten."""
        now = self._clock()
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
        member = self._choose(lane, model, exclude, sticky)
        if member is None:
            self._wake_for(lane, now, _ALL)
            member = self._choose(lane, model, exclude, sticky)
            if member is None:
                raise self._exhausted(lane, model, now)
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
        scope = lease.model if scope else WHOLE
        standing = self._standing(member, scope)
        if spent:
            standing.spent_until = until
        else:
            standing.held_until = until
        self._end_trying(member, lease, False)
        self._review_scope(member, scope)

    def unspent(self, credential_id: int) -> None:
        """A call was given back: there is one more to take."""
        member = self._members.get(credential_id)
        if member is None:
            return
        for scope in (WHOLE, *member.models):
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
            self.rest(credential_id, scope, verdict.until)
        elif verdict.fault is Fault.DISABLE:
            self.remove(credential_id)
        elif verdict.fault is Fault.OK:
            now = self._clock()
            for scope in (WHOLE, model):
                standing = self._look_up(member, scope)
                if standing is not None and standing.half_open and standing.rest_until <= now:
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
        return sum(
            member.credential.provider in providers
            and member.caps.serves(model)
            and self._back_at(member, model, now) <= now
            for member in self._members.values()
        )

    def has(self, model: str, providers: tuple[str, ...], exclude: Collection[int]) -> bool:
        """Whether another one could take the call now."""
        lane = self._route(providers, model)
        self._wake_for(lane, self._clock(), _ALL)
        return lane.next(exclude) is not None

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
        member = Member(credential, len(self._slots))
        member.in_flight = self._draining.pop(credential.id, 0)
        self._slots.append(member)
        self._members[credential.id] = member
        self._providers[credential.provider] += 1
        return member

    def _phase(self, credential: Credential) -> float:
        """Multiples of the golden section lie apart however many there are."""
        lender = _lender(credential)
        turn = self._lent_by[lender] * _GOLDEN + credential.contributor_id * _SILVER + self._seed
        self._lent_by[lender] += 1
        return turn % 1.0

    def _allow(self, member: Member, caps: Caps) -> None:
        """Take new caps; `_review` lets it back in."""
        self._leave(member)
        known = set(self._globs)
        self._globs.subtract(set(member.caps.models))
        self._globs.update(set(caps.models))
        self._globs = +self._globs
        if known != set(self._globs):
            self._routes.clear()
            for key, lane in list(self._lanes.items()):
                if lane.model and lane.matched != self._matched(lane.model):
                    del self._lanes[key]
        member.caps = caps
        member.counted = caps.counted
        for scope in (WHOLE, *member.models):
            self._standing(member, scope).spent_until = 0.0

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
        member.tag += member.tag % member.period * max(period / member.period - 1.0, 0.0)
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
        if len(self._lanes) >= _MOST_LANES:
            oldest = min(self._lanes, key=lambda key: self._lanes[key].last_use)
            del self._lanes[oldest]
            self._routes.clear()
        lane = Lane(self._slots, providers, model, matched)
        now = self._clock()
        lane.fill(
            [
                member
                for member in self._members.values()
                if member.open and lane.admits(member) and not _blocked(member, model, now)
            ]
        )
        alike = [other for other in self._lanes.values() if other.providers == providers]
        if alike:
            lane.present = max(alike, key=lambda other: other.last_use).present
        return lane

    def _matched(self, model: str) -> frozenset[str]:
        return frozenset(glob for glob in self._globs if fnmatchcase(model, glob))

    def _lanes_for(self, member: Member) -> Iterator[Lane]:
        return (lane for lane in self._lanes.values() if lane.admits(member))

    def _enter(self, member: Member, now: float) -> None:
        if member.open:
            return
        member.open = True
        lanes = list(self._lanes_for(member))
        if any(lane.live for lane in lanes):
            member.catch_up(max(lanes, key=lambda lane: lane.last_use).present)
        for lane in lanes:
            if not _blocked(member, lane.model, now):
                lane.add(member)

    def _leave(self, member: Member) -> None:
        if not member.open:
            return
        member.open = False
        for lane in self._lanes.values():
            lane.drop(member)

    # Standings

    def _look_up(self, member: Member, scope: str) -> Standing | None:
        return member.models.get(scope) if scope else member.whole

    def _standing(self, member: Member, scope: str) -> Standing:
        if not scope:
            return member.whole
        standing = member.models.get(scope)
        if standing is None:
            standing = member.models[scope] = Standing()
            self._apart[scope] += 1
            if self._apart[scope] == 1:
                # Its calls need a lane of their own from now on.
                self._routes.clear()
        return standing

    def _forget(self, member: Member, model: str) -> None:
        del member.models[model]
        self._apart[model] -= 1
        if not self._apart[model]:
            del self._apart[model]
            self._alarms.pop(model, None)

    def _review_scope(self, member: Member, scope: str) -> None:
        if scope:
            self._review_model(member, scope, self._clock())
        else:
            self._review(member, self._clock())

    def _review(self, member: Member, now: float) -> None:
        """Let it in or out as it stands now, and look again when that changes by itself."""
        self._backs.clear()
        whole = member.whole
        inside, changes_at = window(member.caps.hours, now)
        member.closed_until = 0.0 if inside else changes_at
        if whole.blocked(now) or not inside or member.caps.calls_a_day == 0:
            self._leave(member)
            self._look_again(WHOLE, member, max(whole.blocked_until(), member.closed_until), now)
        else:
            self._enter(member, now)
            self._look_again(WHOLE, member, changes_at, now)

    def _review_model(self, member: Member, model: str, now: float) -> None:
        self._backs.clear()
        standing = member.models.get(model)
        if standing is None:
            return
        blocked = standing.blocked(now)
        if member.open:
            for lane in self._lanes.values():
                if lane.model == model:
                    if blocked:
                        lane.drop(member)
                    elif lane.admits(member):
                        lane.add(member)
        if blocked:
            self._look_again(model, member, standing.blocked_until(), now)
        elif standing.half_open:
            return
        else:
            self._forget(member, model)

    def _look_again(self, scope: str, member: Member, at: float, now: float) -> None:
        standing = self._standing(member, scope)
        if now < at < math.inf and not (now < standing.alarm_at <= at):
            standing.alarm_at = at
            heapq.heappush(self._alarms.setdefault(scope, []), (at, member.slot))

    def _wake_for(self, lane: Lane, now: float, most: int) -> None:
        alarms = self._alarms[WHOLE]
        if alarms and alarms[0][0] <= now:
            self._wake(WHOLE, now, most)
        if lane.model:
            self._wake(lane.model, now, most)

    def _wake(self, scope: str, now: float, most: int) -> None:
        alarms = self._alarms.get(scope)
        while alarms and alarms[0][0] <= now and most:
            most -= 1
            _, slot = heapq.heappop(alarms)
            member = self._slots[slot]
            if member is None:
                continue
            if scope:
                self._review_model(member, scope, now)
            else:
                self._review(member, now)

    # One call

    def _choose(
        self, lane: Lane, model: str, exclude: Collection[int], sticky: str
    ) -> Member | None:
        if sticky:
            return lane.bound(crc32(sticky.encode()), exclude)
        if self._calls_per_rotation:
            return self._rotate(lane, model, exclude)
        return lane.next(exclude)

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
        standing = member.models.get(model)
        if standing is not None and standing.half_open:
            trying += (model,)
            standing.trying = True
            self._review_model(member, model, now)
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

    def _back_at(self, member: Member, model: str, now: float) -> float:
        """When it may take a call of the model, as far as that is known; infinity while it is being tried."""
        if member.caps.calls_a_day == 0 or member.whole.trying:
            return math.inf
        inside, changes_at = window(member.caps.hours, now)
        at = max(member.whole.blocked_until(), 0.0 if inside else changes_at)
        standing = member.models.get(model)
        if standing is None:
            return at
        return math.inf if standing.trying else max(at, standing.blocked_until())

    def _exhausted(self, lane: Lane, model: str, now: float) -> PoolExhausted:
        if lane.live:
            return PoolExhausted(f"every credential that serves {model} failed this call")
        if not self.serves(lane.providers):
            return PoolExhausted(
                f"nobody has lent a credential that serves {model} yet: ask the operator of this site"
            )
        key = (lane.providers, model)
        back = self._backs.get(key)
        if back is None:
            if len(self._backs) >= _MOST_ROUTES:
                self._backs.clear()
            back = self._backs[key] = self._first_back(lane, model, now)
        at, being_tried = back
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

    def _first_back(self, lane: Lane, model: str, now: float) -> tuple[float, bool]:
        """(when the first one is back, whether one is being tried)"""
        at, being_tried = math.inf, False
        for member in self._members.values():
            if not (lane.admits(member) and member.caps.serves(model)):
                continue
            standings = [s for s in (member.whole, member.models.get(model)) if s is not None]
            if any(s.trying or s.held_until > now for s in standings):
                being_tried = True
            else:
                at = min(at, self._back_at(member, model, now))
        return at, being_tried


def _lender(credential: Credential) -> tuple[str, int]:
    return credential.provider, credential.contributor_id


def _blocked(member: Member, model: str, now: float) -> bool:
    standing = member.models.get(model) if model else None
    return standing is not None and standing.blocked(now)
