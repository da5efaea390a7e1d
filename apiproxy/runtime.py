"""The objects that live as long as the process: built here and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid

from apiproxy import config as configuration
from apiproxy.admission import Admission
from apiproxy.config import ProxyConfig
from apiproxy.expiring import ExpiringDict
from apiproxy.feed import Feed
from apiproxy.media import Media
from apiproxy.pool import Pool
from apiproxy.providers import PROVIDERS
from apiproxy.record import Recorder
from apiproxy.relay import Relay
from apiproxy.renewal import Renewal
from apiproxy.transport import Transport
from apiproxy.writer import Writer

logger = logging.getLogger(__name__)

_SIGNATURE_LIFETIME_S = 6 * 3600.0
_MAX_SIGNATURES = 50_000


class Runtime:
    def __init__(self, config: ProxyConfig) -> None:
        self.config = config
        self.holder_id = uuid.uuid4().hex
        self.writer = Writer(self.holder_id)
        self.recorder = Recorder(self.writer)
        self.pool = Pool(time.time)
        self.transport = Transport(config, time.time)
        self.media = Media(config)
        self.signatures: ExpiringDict[tuple[int, str], str] = ExpiringDict(
            lifetime_s=_SIGNATURE_LIFETIME_S, max_items=_MAX_SIGNATURES, clock=time.monotonic
        )
        self.feed = Feed(
            pool=self.pool,
            recorder=self.recorder,
            holder_id=self.holder_id,
            clock=time.time,
            interval_s=config.feed_interval_s,
            beat_s=config.beat_s,
            redis_url=config.redis_url,
        )
        self.admission = Admission(
            writer=self.writer,
            clock=time.time,
            prices=lambda: self.feed.prices,
            api_password=config.api_password,
        )
        self.feed.on_keys_changed = self.admission.forget
        self.relay = Relay(
            config=config,
            clock=time.time,
            pool=self.pool,
            renewal=Renewal(pool=self.pool, transport=self.transport, endpoints=config.endpoints),
            transport=self.transport,
            recorder=self.recorder,
            providers=PROVIDERS,
        )

    async def start(self) -> None:
        self.writer.start()
        await self.transport.start()
        await self.feed.start()

    async def stop(self) -> None:
        await self.feed.stop()
        await self.transport.stop()
        await self.writer.stop()
        await self.feed.leave()


_current: Runtime | None = None
_starting: asyncio.Lock | None = None


async def current() -> Runtime:
    """The runtime of this process. Servers without lifespan events (`runserver`) start it with the first call."""
    if _current is not None:
        return _current
    return await start()


async def start() -> Runtime:
    global _current, _starting
    if _starting is None:
        _starting = asyncio.Lock()
    async with _starting:
        if _current is None:
            runtime = Runtime(configuration.from_settings())
            await runtime.start()
            _current = runtime
    return _current


async def stop() -> None:
    global _current, _starting
    runtime, _current, _starting = _current, None, None
    if runtime is not None:
        await runtime.stop()


def running() -> Runtime | None:
    """For views that only want to look: None before the first call."""
    return _current
