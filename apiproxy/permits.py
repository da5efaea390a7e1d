"""What a call must ask of all processes together before it uses a credential: whether its contributor's cap leaves one
more call, and whether it may be the one that tries a credential that comes back from a rest.

Only calls with such a credential ask; the questions of all that wait go to the database at once (`writer`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from apiproxy.pool import Lease
from apiproxy.writer import Writer
from credentials.caps import upstream_day
from credentials.services.permits import Ask, Permit, Refusal, end_claims, grant, put_back

logger = logging.getLogger(__name__)

NONE_NEEDED = Permit(credential_id=0)


def _nobody() -> None:
    """Nobody waits for it."""


class Permits(Protocol):
    async def take(self, lease: Lease) -> Permit | Refusal:
        """Raises LedgerUnavailable."""
        ...

    def give_back(
        self, permit: Permit, *, unserved: bool, returned: Callable[[], None] = _nobody
    ) -> None:
        """`returned` is called once what was not used is there to take again."""
        ...


class Free:
    """For calls that are nobody's: a probe is not the contributor's concern."""

    async def take(self, lease: Lease) -> Permit | Refusal:
        return NONE_NEEDED

    def give_back(
        self, permit: Permit, *, unserved: bool, returned: Callable[[], None] = _nobody
    ) -> None:
        pass


class SharedPermits:
    def __init__(self, *, writer: Writer, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._clock = clock

    async def take(self, lease: Lease) -> Permit | Refusal:
        if not lease.guarded or not lease.credential.id:
            return NONE_NEEDED
        now = self._clock()
        ask = Ask(lease.credential.id, lease.trying, lease.limits, upstream_day(now), now)
        asking = self._writer.ask(grant, ask)
        try:
            # Shielded: the client may leave, and what is granted meanwhile has to go back.
            granted: Permit | Refusal = await asyncio.shield(asking)
        except BaseException:
            asking.add_done_callback(self._undo)
            raise
        return granted

    def give_back(
        self, permit: Permit, *, unserved: bool, returned: Callable[[], None] = _nobody
    ) -> None:
        """Allowances are given back once and not repeated: what the database did not take stays counted, so that no cap
        is ever exceeded."""
        if permit.trying:
            self._writer.behind(end_claims, permit)
        if unserved and permit.scopes:
            self._writer.ask(put_back, permit).add_done_callback(partial(_given_back, returned))

    def _undo(self, asking: asyncio.Future[Permit | Refusal]) -> None:
        if not asking.cancelled() and asking.exception() is None:
            granted = asking.result()
            if isinstance(granted, Permit):
                self.give_back(granted, unserved=True)


def _given_back(returned: Callable[[], None], giving: asyncio.Future[None]) -> None:
    if giving.cancelled():
        return
    if (failure := giving.exception()) is not None:
        logger.warning("a call that was not served stays counted: %s", failure)
    else:
        returned()
