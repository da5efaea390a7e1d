"""Telling other processes at once that something changed. They look anyway, twice a second: a lost nudge costs nothing
but that delay, so nobody waits for one and a failing Redis is only logged.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from functools import lru_cache

import redis
import redis.asyncio
from django.conf import settings
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

_CHANNEL = "wellspring:changes"
# Whoever changes something waits for this, and it may be the ledger's thread.
_PATIENCE_S = 0.25


def send() -> None:
    """Does nothing where no Redis is configured."""
    if settings.REDIS_URL:
        try:
            _client(settings.REDIS_URL).publish(_CHANNEL, b"")
        except RedisError as exc:
            logger.warning("other processes were not told of a change: %s", exc)


@lru_cache(maxsize=1)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S)


async def received(url: str) -> AsyncIterator[None]:
    """One item for each nudge. Raises RedisError when the connection is lost."""
    async with redis.asyncio.from_url(url) as client, client.pubsub() as subscription:
        await subscription.subscribe(_CHANNEL)
        async for message in subscription.listen():
            if message["type"] == "message":
                yield None
