"""The objects that live as long as the process: built here and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid

from apiproxy import config as configuration
from apiproxy.admission import Admission
from apiproxy.config import ProxyConfig
from apiproxy.feed import Feed
from apiproxy.gallery import Gallery
from apiproxy.idempotency import Idempotency
from apiproxy.kept import KeptResponses
from apiproxy.media import Media
from apiproxy.pacing import Pacing
from apiproxy.permits import SharedPermits
from apiproxy.pool import Pool
from apiproxy.providers import PROVIDERS
from apiproxy.record import Recorder
from apiproxy.relay import Relay
from apiproxy.renewal import Renewal
from apiproxy.signature_store import SignatureStore
from apiproxy.transport import Transport
from apiproxy.writer import Writer

logger = logging.getLogger(__name__)


class Runtime:
    def __init__(self, config: ProxyConfig) -> None:
        self.config = config
        self.holder_id = uuid.uuid4().hex
        self.writer = Writer(self.holder_id)
        self.recorder = Recorder(self.writer)
        self.pool = Pool(time.time, calls_per_rotation=config.calls_per_rotation)
        self.transport = Transport(config, time.time)
        self.media = Media(config)
        self.gallery = Gallery(retention_s=config.image_retention_s)
        self.kept = KeptResponses(
            retention_s=config.response_retention_s, max_bytes=config.max_body_bytes
        )
        self.signatures = SignatureStore(
            lifetime_s=config.signature_ttl_s, redis_url=config.redis_url, clock=time.monotonic
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
            trusted_proxies=config.trusted_proxies,
            wrong_keys_per_minute=config.wrong_keys_per_minute,
        )
        self.pacing = Pacing(
            writer=self.writer,
            clock=time.time,
            redis_url=config.redis_url,
            wait_s=config.limit_wait_s,
            most_waiting=config.limit_queue_length,
        )
        self.idempotency = Idempotency(
            writer=self.writer,
            holder_id=self.holder_id,
            lease_s=config.holder_lease_s,
            keep_bytes=config.idempotency_keep_bytes,
        )
        self.feed.on_keys_changed = self.admission.forget
        self.feed.on_settings_changed = self._take_settings
        self.relay = Relay(
            config=config,
            clock=time.time,
            pool=self.pool,
            renewal=Renewal(pool=self.pool, transport=self.transport, endpoints=config.endpoints),
            transport=self.transport,
            recorder=self.recorder,
            providers=PROVIDERS,
            rules=lambda: self.feed.rules,
            permits=SharedPermits(writer=self.writer, clock=time.time),
        )

    def _take_settings(self) -> None:
        """An operator changed some. Calls under way keep what they read; what was built at the start stays as it is."""
        config = configuration.from_settings()
        if config == self.config:
            return
        self.config = config
        self.relay.configure(config)
        self.pool.rotate_after(config.calls_per_rotation)
        self.transport.use_proxy(config.upstream_proxy)
        self.pacing.configure(wait_s=config.limit_wait_s, most_waiting=config.limit_queue_length)

    async def start(self) -> None:
        self.writer.start()
        self.signatures.start()
        await self.transport.start()
        await self.feed.start()

    async def stop(self) -> None:
        await self.feed.stop()
        await self.transport.stop()
        await self.signatures.stop()
        await self.pacing.stop()
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
