"""Which credential is next. In memory, synchronous, the clock injected: no lock, no I/O. Pure.

Choice: usable for the model, least in flight for its weight, then longest unused. Each provider keeps a heap by that
order; entries that a later change made stale are dropped when they surface. A credential that rests as a whole is in no
heap until its time comes; one that rests for a model is stepped over by calls of that model only.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable

from msgspec import Struct

from apiproxy.wire.types import Credential, Fault, Verdict
from gateway.lib.errors import PoolExhausted

Rank = tuple[float, int, int, int]
"""(in flight / weight, last use, credential id, version)"""


class Lease(Struct, frozen=True):
    """A credential lent to one call. `recovering`: it comes back from a rest, so a success is news."""

    credential: Credential
    model: str
    recovering: bool = False


class _Member:
    __slots__ = ("credential", "in_flight", "last_use", "model_rests", "rest_until", "version")

    def __init__(self, credential: Credential) -> None:
        self.credential = credential
        self.in_flight = 0
        self.last_use = 0
        self.version = 0
        self.rest_until = 0.0
        self.model_rests: dict[str, float] = {}


class Pool:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._members: dict[int, _Member] = {}
        self._ready: dict[str, list[Rank]] = {}
        self._resting: list[tuple[float, int, int]] = []
        self._uses = 0

    def put(self, credential: Credential) -> None:
        """Add a credential, or take its new token, weight or project; calls in flight keep the old one."""
        member = self._members.get(credential.id)
        if member is None:
            self._members[credential.id] = member = _Member(credential)
        member.credential = credential
        self._queue(member)

    def remove(self, credential_id: int) -> None:
        self._members.pop(credential_id, None)

    def replace(self, credentials: Iterable[Credential]) -> None:
        """Exactly these; rests and calls in flight of those that stay are kept."""
        wanted = {credential.id: credential for credential in credentials}
        for credential_id in self._members.keys() - wanted.keys():
            self.remove(credential_id)
        for credential in wanted.values():
            self.put(credential)

    def get(self, credential_id: int) -> Credential | None:
        member = self._members.get(credential_id)
        return member.credential if member else None

    def serves(self, providers: Collection[str]) -> bool:
        """Whether there is a credential of one of these, be it resting."""
        return any(member.credential.provider in providers for member in self._members.values())

    def rest(self, credential_id: int, model: str, until: float) -> None:
        """Rest for `model`, or as a whole when it is empty. An `until` in the past ends the rest."""
        member = self._members.get(credential_id)
        if member is None:
            return
        if model:
            member.model_rests[model] = until
        else:
            member.rest_until = until
            self._queue(member)

    def acquire(
        self, model: str, providers: Collection[str], exclude: Collection[int] = ()
    ) -> Lease:
        """Raises PoolExhausted, with the seconds until the first credential is back when that is known."""
        now = self._clock()
        self._wake(now)
        best: _Member | None = None
        best_rank: Rank | None = None
        for provider in providers:
            rank = self._first_usable(provider, model, exclude, now)
            if rank is not None and (best_rank is None or rank < best_rank):
                best, best_rank = self._members[rank[2]], rank
        if best is None:
            raise self._exhausted(model, providers, now)
        self._uses += 1
        best.last_use = self._uses
        best.in_flight += 1
        self._queue(best)
        recovering = bool(best.rest_until) or model in best.model_rests
        return Lease(best.credential, model, recovering)

    def release(self, lease: Lease, verdict: Verdict | None) -> None:
        """Give a credential back. None means nothing was learned of it (the client left)."""
        member = self._members.get(lease.credential.id)
        if member is None:
            return
        member.in_flight -= 1
        if lease.recovering and verdict is not None and verdict.fault is Fault.OK:
            member.rest_until = 0.0
            member.model_rests.pop(lease.model, None)
        self._queue(member)
        if verdict is not None:
            self.apply(lease.credential.id, lease.model, verdict)

    def apply(self, credential_id: int, model: str, verdict: Verdict) -> None:
        """What a verdict means for later calls: a rest, or that the credential is out."""
        if verdict.fault is Fault.COOL_DOWN:
            self.rest(credential_id, "" if verdict.whole else model, verdict.until)
        elif verdict.fault is Fault.DISABLE:
            self.remove(credential_id)

    def usable(self, model: str, providers: Collection[str]) -> int:
        """How many credentials could take a call of the model now."""
        now = self._clock()
        return sum(
            member.credential.provider in providers
            and member.rest_until <= now
            and member.model_rests.get(model, 0.0) <= now
            for member in self._members.values()
        )

    def in_flight(self) -> int:
        return sum(member.in_flight for member in self._members.values())

    def _queue(self, member: _Member) -> None:
        member.version += 1
        credential = member.credential
        if member.rest_until > self._clock():
            heapq.heappush(self._resting, (member.rest_until, credential.id, member.version))
            return
        ready = self._ready.setdefault(credential.provider, [])
        load = member.in_flight / max(credential.weight, 1)
        heapq.heappush(ready, (load, member.last_use, credential.id, member.version))
        if len(ready) > 4 * len(self._members) + 64:
            ready[:] = [rank for rank in ready if self._is_current(rank[2], rank[3])]
            heapq.heapify(ready)

    def _is_current(self, credential_id: int, version: int) -> bool:
        member = self._members.get(credential_id)
        return member is not None and member.version == version

    def _wake(self, now: float) -> None:
        while self._resting and self._resting[0][0] <= now:
            _, credential_id, version = heapq.heappop(self._resting)
            if self._is_current(credential_id, version):
                self._queue(self._members[credential_id])

    def _first_usable(
        self, provider: str, model: str, exclude: Collection[int], now: float
    ) -> Rank | None:
        ready = self._ready.get(provider)
        if not ready:
            return None
        stepped_over: list[Rank] = []
        found: Rank | None = None
        while ready:
            rank = ready[0]
            if not self._is_current(rank[2], rank[3]):
                heapq.heappop(ready)
                continue
            member = self._members[rank[2]]
            if rank[2] not in exclude and member.model_rests.get(model, 0.0) <= now:
                found = rank
                break
            stepped_over.append(heapq.heappop(ready))
        for rank in stepped_over:
            heapq.heappush(ready, rank)
        return found

    def _exhausted(self, model: str, providers: Collection[str], now: float) -> PoolExhausted:
        backs = [
            max(member.rest_until, member.model_rests.get(model, 0.0))
            for member in self._members.values()
            if member.credential.provider in providers
        ]
        if not backs:
            return PoolExhausted(
                f"nobody has lent a credential that serves {model} yet: ask the operator of this site"
            )
        wait = min(backs) - now
        if wait <= 0:
            # Usable, only excluded: every one of them was tried by this call.
            return PoolExhausted(f"every credential that serves {model} failed this call")
        return PoolExhausted(
            f"every credential that serves {model} is resting: try again in {int(wait) + 1} s",
            retry_after_s=wait,
        )
