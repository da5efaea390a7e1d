"""Thought signatures by client key and call id: in this process, and in Redis where there is one, so that the next
request may reach another process. A dead Redis costs quality, never an answer: the stand-in takes their place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from apiproxy.dialects.carried import carried, carry
from apiproxy.expiring import ExpiringDict
from gateway.lib.tasks import spawn

logger = logging.getLogger(__name__)

_MAX_ITEMS = 50_000
_MAX_UNWRITTEN = 5_000
_MAX_ASKED = 512
"""Of a history's calls, the latest: only those of the running turn are validated upstream."""
_LONGEST_ID = 64
_PATIENCE_S = 0.25
_REST_S = 5.0
"""How long a Redis that failed is not asked."""


class SignatureStore:
    """`put` and `known` are for the loop that `start` ran on."""

    def __init__(self, *, lifetime_s: float, redis_url: str, clock: Callable[[], float]) -> None:
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._local: ExpiringDict[str, str] = ExpiringDict(
            lifetime_s=lifetime_s, max_items=_MAX_ITEMS, clock=clock
        )
        self._redis_url = redis_url if lifetime_s > 0 else ""
        self._redis: redis.asyncio.Redis | None = None
        self._unwritten: dict[str, str] = {}
        self._news = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._rests_until = 0.0
        self._failing = False

    def start(self) -> None:
        if self._redis_url:
            self._redis = redis.asyncio.from_url(
                self._redis_url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S
            )
            self._writer = spawn(self._write(), name="signatures")

    async def stop(self) -> None:
        if self._writer is not None:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        if self._redis is not None:
            await self._flush(self._redis)
            await self._redis.aclose()
        self._redis = self._writer = None

    def put(self, key_id: int, model: str, call_id: str, signature: str) -> None:
        """A signature fits one family of models only, so that is kept with it."""
        name = _name(key_id, call_id)
        self._local[name] = value = carry(signature, model)
        if self._redis is not None and len(self._unwritten) < _MAX_UNWRITTEN:
            self._unwritten[name] = value
            self._news.set()

    async def known(self, key_id: int, model: str, call_ids: Collection[str]) -> dict[str, str]:
        """Those of the ids that are known, with their signatures."""
        values = {call_id: self._local.get(_name(key_id, call_id)) for call_id in call_ids}
        missing = [i for i, value in values.items() if value is None and len(i) <= _LONGEST_ID]
        if missing and self._redis is not None and self._clock() >= self._rests_until:
            values |= await self._fetched(self._redis, key_id, missing[-_MAX_ASKED:])
        found = ((i, carried(value, model)) for i, value in values.items() if value)
        return {call_id: signature for call_id, signature in found if signature}

    async def _fetched(
        self, client: redis.asyncio.Redis, key_id: int, call_ids: list[str]
    ) -> dict[str, str]:
        names = [_name(key_id, call_id) for call_id in call_ids]
        answers = await self._asked(client.mget(names))
        fetched: dict[str, str] = {}
        for call_id, name, answer in zip(call_ids, names, answers or (), strict=False):
            if answer is not None:
                fetched[call_id] = self._local[name] = answer.decode()
        return fetched

    async def _write(self) -> None:
        """Everything that came meanwhile goes out together."""
        while self._redis is not None:
            await self._news.wait()
            self._news.clear()
            await self._flush(self._redis)

    async def _flush(self, client: redis.asyncio.Redis) -> None:
        unwritten, self._unwritten = self._unwritten, {}
        if not unwritten or self._clock() < self._rests_until:
            return
        pipeline = client.pipeline(transaction=False)
        for name, value in unwritten.items():
            pipeline.set(name, value, ex=max(1, int(self._lifetime_s)))
        await self._asked(pipeline.execute())

    async def _asked(self, answer: Awaitable[list[Any]]) -> list[Any] | None:
        """None when Redis does not answer in time: it is let rest, and logged when that begins and when it ends."""
        try:
            async with asyncio.timeout(2 * _PATIENCE_S):
                found = await answer
        except (RedisError, OSError, TimeoutError) as exc:
            if not self._failing:
                logger.warning("thought signatures are not shared for now: %s", exc)
            self._failing = True
            self._rests_until = self._clock() + _REST_S
            return None
        if self._failing:
            logger.warning("thought signatures are shared again")
        self._failing = False
        return found


def _name(key_id: int, call_id: str) -> str:
    return f"wellspring:signature:{key_id}:{call_id}"
