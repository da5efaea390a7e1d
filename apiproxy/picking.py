"""Which credential takes a call: the pool's choice, with the permit that a guarded one needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping

from apiproxy.permits import NONE_NEEDED, Permits
from apiproxy.pool import BeingTried, Lease, Pool
from apiproxy.providers.base import Provider, is_sticky
from apiproxy.trace import Skip, Trace
from apiproxy.wire import codec
from apiproxy.wire.types import Call
from credentials.services.permits import Permit, Refusal

# While the only credential is being tried, others wait: it mostly answers within a moment.
_PATIENCE_S = 5.0
_LOOK_AGAIN_S = 0.05
_MOST_TURN_CHARS = 2000


class Picker:
    def __init__(
        self,
        *,
        pool: Pool,
        permits: Permits,
        clock: Callable[[], float],
        providers: Mapping[str, Provider],
    ) -> None:
        self._pool = pool
        self._permits = permits
        self._clock = clock
        self._sticky = frozenset(name for name, plugin in providers.items() if is_sticky(plugin))

    async def pick(self, call: Call, trace: Trace, tried: Collection[int]) -> tuple[Lease, Permit]:
        """Raises PoolExhausted, and LedgerUnavailable when the database cannot say whether a cap is used up."""
        sticky = self._conversation(call, trace) if self._sticky else ""
        while True:
            try:
                lease = self._pool.acquire(call.model.id, call.model.providers, tried, sticky)
            except BeingTried:
                lease = await self._patiently(call, tried, sticky)
            if not lease.guarded:
                return lease, NONE_NEEDED
            permit = await self._permit(lease)
            if isinstance(permit, Permit):
                return lease, permit
            self._skip(lease, permit, trace)

    async def _patiently(self, call: Call, tried: Collection[int], sticky: str) -> Lease:
        deadline = self._clock() + _PATIENCE_S
        while True:
            await asyncio.sleep(_LOOK_AGAIN_S)
            try:
                return self._pool.acquire(call.model.id, call.model.providers, tried, sticky)
            except BeingTried:
                if self._clock() >= deadline:
                    raise

    async def _permit(self, lease: Lease) -> Permit | Refusal:
        try:
            return await self._permits.take(lease)
        except BaseException:
            self._pool.release(lease, None)
            raise

    def _skip(self, lease: Lease, refusal: Refusal, trace: Trace) -> None:
        """Nobody's failure: the next one is asked, and the request's explanation says why."""
        self._pool.refuse(lease, refusal.scope, refusal.until, spent=refusal.spent)
        reason = "cap_reached" if refusal.spent else "being_tried"
        trace.skipped.append(Skip(lease.credential.id, lease.credential.provider, reason))

    def give_back(self, permit: Permit, *, unserved: bool) -> None:
        self._permits.give_back(
            permit,
            unserved=unserved,
            returned=lambda: self._pool.unspent(permit.credential_id),
        )

    def _conversation(self, call: Call, trace: Trace) -> str:
        """The same for all calls of a conversation, and for nobody else's; "" where no upstream cares."""
        if self._sticky.isdisjoint(call.model.providers):
            return ""
        contents = call.body.get("contents")
        turns = contents if isinstance(contents, list) else []
        first = next((t for t in turns if isinstance(t, dict) and t.get("role") != "model"), None)
        return f"{trace.key_id} {codec.encode(first).decode()[:_MOST_TURN_CHARS]}"
