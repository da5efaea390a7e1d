"""The database -> what the process works with: pool, catalogue, prices, forgotten keys. One query twice a second tells
whether anything changed; only what did is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from channels.db import database_sync_to_async
from django.db import Error
from redis.exceptions import RedisError

from apiproxy import selectors
from apiproxy.catalogue import Catalogue
from apiproxy.pool import WHOLE, Pool
from apiproxy.record import Recorder
from apiproxy.rules import Rule
from apiproxy.wire.types import Credential
from credentials.caps import next_upstream_midnight, upstream_day
from credentials.selectors import CredentialSnapshot, ModelStateSnapshot, spent_ids
from credentials.services.permits import report_draining
from credentials.states import RESTING, State
from gateway.lib import nudge, site_settings
from gateway.lib.tasks import spawn
from quotas import services as quota_services
from quotas.pricing import PriceBook, PriceList

logger = logging.getLogger(__name__)

SANDBOX = Credential(id=0, provider="sandbox", label="sandbox")

_POOLED = RESTING | {State.ACTIVE}
_RECONNECT_S = 5.0
# So many rows are taken in before calls have their turn again: about two milliseconds.
_SLICE = 200


class Feed:
    def __init__(
        self,
        *,
        pool: Pool,
        recorder: Recorder,
        holder_id: str,
        clock: Callable[[], float],
        interval_s: float,
        beat_s: float,
        redis_url: str,
    ) -> None:
        self._pool = pool
        self._recorder = recorder
        self._holder_id = holder_id
        self._clock = clock
        self._interval_s = interval_s
        self._beat_s = beat_s
        self._redis_url = redis_url
        self._nudged = asyncio.Event()
        self._reading = asyncio.Lock()
        self._seen: dict[str, int] = {}
        self._next_beat = 0.0
        self._withdrawn: set[int] = set()
        self._draining: dict[int, int] = {}
        """What the database knows of this process."""
        self._tasks: list[asyncio.Task[Any]] = []
        self.catalogue = Catalogue([])
        self._book = PriceBook()
        self.rules: tuple[Rule, ...] = ()
        self.on_keys_changed: Callable[[list[str]], None] = lambda public_ids: None
        self.on_settings_changed: Callable[[], None] = lambda: None

    @property
    def prices(self) -> PriceList:
        """As they stand at this moment."""
        return self._book.at(self._clock())

    async def start(self) -> None:
        """The first reading must succeed: a process that knows nothing serves nobody."""
        self._pool.put(SANDBOX)
        await self.update()
        self._tasks = [spawn(self._follow(), name="feed")]
        if self._redis_url:
            self._tasks.append(spawn(self._listen(), name="nudges"))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def leave(self) -> None:
        """Nothing of this process is open any more."""
        if self._draining:
            await database_sync_to_async(report_draining)(holder_id=self._holder_id, calls={})
        await database_sync_to_async(quota_services.leave)(holder_id=self._holder_id)

    async def update(self) -> None:
        """Read what changed and apply it. Raises django.db.Error."""
        async with self._reading:
            now = self._clock()
            beating = now >= self._next_beat
            changes = await database_sync_to_async(self._read)(beating)
            if beating:
                self._next_beat = now + self._beat_s
            await self._apply(changes)
            await self._count(beating, now)

    def _read(self, beating: bool) -> selectors.Changes:
        if beating:
            quota_services.beat(holder_id=self._holder_id)
        self._recorder.reading()
        return selectors.changes_since(self._seen)

    async def _apply(self, changes: selectors.Changes) -> None:
        self._seen = changes.seen
        if changes.public_ids:
            self.on_keys_changed(changes.public_ids)
        if changes.catalogue is not None:
            self.catalogue = changes.catalogue
        if changes.prices is not None:
            self._book = changes.prices
        if changes.rules is not None:
            self.rules = changes.rules
        if changes.settings is not None:
            site_settings.apply(changes.settings)
            self.on_settings_changed()
        for credential_id in changes.unreadable:
            self._pool.remove(credential_id)
        for start in range(0, len(changes.credentials), _SLICE):
            for snapshot in changes.credentials[start : start + _SLICE]:
                self._apply_credential(snapshot)
            await self._let_others_go_on()
        for start in range(0, len(changes.model_states), _SLICE):
            for state in changes.model_states[start : start + _SLICE]:
                self._apply_model_state(state)
            await self._let_others_go_on()

    async def _let_others_go_on(self) -> None:
        # What this process learnt a moment ago is newer than what it just read.
        for judgement in self._recorder.unread():
            self._pool.apply(judgement.credential_id, judgement.model, judgement.verdict)
        await asyncio.sleep(0)

    async def _count(self, beating: bool, now: float) -> None:
        """Calls that still run with withdrawn credentials, for those who wait for them; and whose calls of the day all
        processes together have used up."""
        running = self._pool.draining()
        self._withdrawn.intersection_update(running)
        draining = {pk: running[pk] for pk in self._withdrawn}
        if draining != self._draining or (beating and draining):
            await database_sync_to_async(report_draining)(holder_id=self._holder_id, calls=draining)
            self._draining = draining
        if beating and self._pool.counts:
            self._pool.begin_count()
            spent = await database_sync_to_async(spent_ids)(upstream_day(now))
            self._pool.spent(spent, next_upstream_midnight(now))

    def _apply_credential(self, snapshot: CredentialSnapshot) -> None:
        if snapshot.state not in _POOLED or snapshot.paused:
            self._pool.remove(snapshot.id)
            if snapshot.state == State.WITHDRAWN:
                self._withdrawn.add(snapshot.id)
            return
        self._withdrawn.discard(snapshot.id)
        self._pool.put(as_credential(snapshot), caps=snapshot.caps, login=snapshot.login)
        resting = snapshot.state in RESTING
        self._pool.rest(snapshot.id, WHOLE, snapshot.state_until if resting else 0.0)

    def _apply_model_state(self, state: ModelStateSnapshot) -> None:
        until = state.until if state.state in RESTING else 0.0
        self._pool.rest(state.credential_id, state.model, until)

    async def _follow(self) -> None:
        failing = False
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._nudged.wait()
            self._nudged.clear()
            try:
                await self.update()
                if failing:
                    logger.warning("the database is back")
                failing = False
            except Error as exc:
                if not failing:
                    logger.error("changes cannot be read: %s", exc)
                failing = True

    async def _listen(self) -> None:
        """With Redis a change is read when it happens, without it at the next look."""
        while True:
            try:
                async for _ in nudge.received(self._redis_url):
                    self._nudged.set()
            except (RedisError, OSError) as exc:
                logger.warning("changes are only polled for now: %s", exc)
            await asyncio.sleep(_RECONNECT_S)


def as_credential(snapshot: CredentialSnapshot) -> Credential:
    return Credential(
        id=snapshot.id,
        provider=snapshot.provider,
        token=snapshot.token,
        project=snapshot.project,
        expires_at=snapshot.expires_at,
        weight=snapshot.weight,
        contributor_id=snapshot.contributor_id,
        proxy=snapshot.proxy,
        label=snapshot.label,
    )
