"""Calls of keys, people and groups whose pace is limited pass here, and wait in a short queue where they are too fast.

The windows are Redis' where there is one, and the database's while it is away (quotas/limiter*.py): they begin empty there, so that
for a minute up to twice as much may pass. Who waits is in apiproxy/waiting.py. Nobody who comes later overtakes. A call of this
process that ends wakes the queue at once; for those of others, and for windows that slide, it looks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from msgspec import Struct
from redis.exceptions import RedisError

from apiproxy.waiting import Queue, Waiting, too_fast
from apiproxy.writer import Writer
from gateway.lib.tasks import spawn
from quotas import limiter_database
from quotas.limiter import RENEW_S, Granted, Item, Refused, Release, Renew, Take
from quotas.limiter_redis import RedisLimiter

logger = logging.getLogger(__name__)

_LOOK_S = 0.25
_REDIS_REST_S = 5.0

Answer = asyncio.Future[Granted | Refused | None]


class Ticket(Struct, eq=False):
    """A call that passed."""

    take: Take
    granted: Granted
    in_redis: bool


class Pacing:
    def __init__(
        self,
        *,
        writer: Writer,
        clock: Callable[[], float],
        redis_url: str,
        wait_s: float,
        most_waiting: int,
    ) -> None:
        """`clock`: epoch seconds. `wait_s`: the longest wait of a call; `most_waiting`: calls of one person that may wait at a time."""
        self.wait_s = wait_s
        self.most_waiting = most_waiting
        self._writer = writer
        self._clock = clock
        self._redis = RedisLimiter(redis_url) if redis_url else None
        self._redis_away = False
        self._next_try = 0.0
        self._queues: dict[str, Queue] = {}
        self._running: dict[str, Ticket] = {}
        self._renewing: asyncio.Task[None] | None = None

    def configure(self, *, wait_s: float, most_waiting: int) -> None:
        """For calls that come from now on."""
        self.wait_s = wait_s
        self.most_waiting = most_waiting

    async def stop(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        if self._redis is not None:
            await self._redis.close()

    async def take(self, take: Take) -> Ticket | Refused:
        """Pass now, or not without a wait. Raises LedgerUnavailable."""
        for scope in take.scopes:
            if (queue := self._queues.get(scope)) is not None and queue.lines:
                return queue.refused
        return await self._pass(take)

    async def wait(self, take: Take, person: int | str, refused: Refused) -> Ticket:
        """Wait for its turn. Raises TooFast when that takes too long, or there is no use in it, and LedgerUnavailable."""
        self._bear(take, person, refused)
        queue = self._queues.get(refused.scope)
        if queue is None:
            queue = self._queues[refused.scope] = Queue(refused)
            spawn(self._serve(refused.scope, queue), name="pacing")
        loop = asyncio.get_running_loop()
        waiting = Waiting(take, person, loop.time() + self.wait_s, refused, loop.create_future())
        queue.add(waiting)
        passed = waiting.passed
        try:
            async with asyncio.timeout_at(waiting.until):
                return await asyncio.shield(passed)
        except TimeoutError:
            if passed.done():
                return passed.result()
            raise too_fast(take, waiting.refused, self._clock()) from None
        except asyncio.CancelledError:
            if passed.done() and not passed.cancelled() and passed.exception() is None:
                self.release(passed.result(), tokens=0, undone=True)
            raise
        finally:
            # Whatever it is granted from now on goes back: see _let_pass.
            passed.cancel()
            queue.remove(waiting)

    def release(self, ticket: Ticket, *, tokens: int, undone: bool = False) -> None:
        """The call is over. Nobody waits for the windows to know; what is asked afterwards is answered after it."""
        take = ticket.take
        self._running.pop(take.request_id, None)
        release = Release(take.request_id, take.scopes, tokens, undone, ticket.granted.days)
        self._tell(release, in_redis=ticket.in_redis)
        for scope in take.scopes:
            if (queue := self._queues.get(scope)) is not None:
                queue.woken.set()

    def _bear(self, take: Take, person: int | str, refused: Refused) -> None:
        """Raises TooFast when there is no use in waiting."""
        if self._is_vain(refused, self.wait_s):
            raise too_fast(take, refused, self._clock())
        waiting = sum(queue.waiting(person) for queue in self._queues.values())
        if waiting >= self.most_waiting:
            raise too_fast(take, refused, self._clock(), waiting=waiting)

    def _is_vain(self, refused: Refused, left_s: float) -> bool:
        too_late = left_s <= 0 or refused.retry_after_s > left_s
        return refused.hopeless or refused.pace == "rpd" or too_late

    async def _serve(self, scope: str, queue: Queue) -> None:
        """Let pass whoever is next, until nobody waits."""
        while queue.lines:
            queue.woken.clear()
            pause_s = await self._let_pass(scope, queue)
            if pause_s <= 0 or not queue.lines:
                continue
            try:
                async with asyncio.timeout(min(pause_s, _LOOK_S)):
                    await queue.woken.wait()
            except TimeoutError:
                pass
        del self._queues[scope]

    async def _let_pass(self, scope: str, queue: Queue) -> float:
        """Try the first of every line, in turn. How long there is nothing to try again, 0 where somebody passed or gave up."""
        for waiting in queue.heads():
            if waiting.passed.done():
                continue  # it has left while another was tried
            try:
                outcome = await self._pass(waiting.take)
            except Exception as exc:  # noqa: BLE001 - whoever waits is told; the queue goes on
                queue.remove(waiting)
                if not waiting.passed.done():
                    waiting.passed.set_exception(exc)
                continue
            if isinstance(outcome, Ticket):
                queue.remove(waiting)
                queue.had_a_turn(waiting.person)
                if waiting.passed.done():
                    self.release(outcome, tokens=0, undone=True)
                else:
                    waiting.passed.set_result(outcome)
                return 0.0
            waiting.refused = outcome
            left_s = waiting.until - asyncio.get_running_loop().time()
            if self._is_vain(outcome, left_s) and not waiting.passed.done():
                # It would not get there in time: the client had better know now.
                queue.remove(waiting)
                waiting.passed.set_exception(too_fast(waiting.take, outcome, self._clock()))
                return 0.0
            if outcome.scope == scope:
                # Nobody else passes here either. Who asks for fewer tokens might, and the turn would never come.
                queue.refused = outcome
                return outcome.retry_after_s or _LOOK_S
        return _LOOK_S

    async def _pass(self, take: Take) -> Ticket | Refused:
        in_redis = self._may_ask_redis()
        while True:
            asking = self._ask(take, in_redis=in_redis)
            try:
                # Shielded: the client may leave, and what it is granted meanwhile has to go back.
                outcome = await asyncio.shield(asking)
            except (RedisError, OSError) as exc:
                self._lost_redis(exc)
                in_redis = False
                continue
            except asyncio.CancelledError:
                asking.add_done_callback(partial(self._undo, take, in_redis=in_redis))
                raise
            break
        if in_redis and self._redis_away:
            self._redis_away = False
            logger.warning("Redis is back: limits are counted there again")
        if isinstance(outcome, Refused):
            return outcome
        if outcome is None:
            raise RuntimeError("a question about a pace was not answered")
        ticket = self._running[take.request_id] = Ticket(take, outcome, in_redis)
        if self._renewing is None:
            self._renewing = spawn(self._renew(), name="pace renewal")
        return ticket

    def _ask(self, item: Item, *, in_redis: bool) -> Answer:
        if in_redis and self._redis is not None:
            return self._redis.ask(item)
        return self._writer.ask(limiter_database.decide, item)

    def _tell(self, item: Release | Renew, *, in_redis: bool) -> None:
        self._ask(item, in_redis=in_redis).add_done_callback(_noted)

    def _undo(self, take: Take, asking: Answer, *, in_redis: bool) -> None:
        if asking.cancelled() or asking.exception() is not None:
            return
        if isinstance(granted := asking.result(), Granted):
            self.release(Ticket(take, granted, in_redis), tokens=0, undone=True)

    def _may_ask_redis(self) -> bool:
        """While it is away one call every few seconds finds out whether it is back."""
        if self._redis is None:
            return False
        if not self._redis_away:
            return True
        now = asyncio.get_running_loop().time()
        if now < self._next_try:
            return False
        self._next_try = now + _REDIS_REST_S
        return True

    def _lost_redis(self, exc: Exception) -> None:
        if not self._redis_away:
            logger.error("Redis is away, limits are counted in the database: %s", exc)
        self._redis_away = True
        self._next_try = asyncio.get_running_loop().time() + _REDIS_REST_S

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            for in_redis in (True, False):
                running = [one.take for one in self._running.values() if one.in_redis is in_redis]
                if running:
                    # A call that ends from now on is told after this, and stays ended.
                    self._tell(
                        Renew(
                            tuple(take.request_id for take in running),
                            tuple(take.scopes for take in running),
                        ),
                        in_redis=in_redis,
                    )


def _noted(telling: Answer) -> None:
    if not telling.cancelled() and (failure := telling.exception()) is not None:
        logger.warning("what became of a call was not counted: %s", failure)
