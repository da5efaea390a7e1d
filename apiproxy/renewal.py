"""Making a lent login usable for a call: a fresh access token, and the Cloud project it works in.

Many calls may find the same token stale at once: in a process they share one task, and processes share one refresh
through the lease in the database.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

import msgspec
from channels.db import database_sync_to_async
from django.db import DatabaseError

from apiproxy.blame import own_proxy_verdict
from apiproxy.feed import as_credential
from apiproxy.pool import Pool
from apiproxy.providers import code_assist_setup
from apiproxy.transport import Transport
from apiproxy.wire.types import Answer, Credential, Endpoints, Fault, Verdict
from credentials import selectors, services
from gateway.lib.errors import GatewayError, ProxyFailed
from gateway.lib.tasks import spawn

logger = logging.getLogger(__name__)

Renewed = Credential | Verdict

_PATIENCE_S = 2.0
_SLOW = Verdict(
    fault=Fault.NEXT_CREDENTIAL,
    kind="timeout",
    reason="refresh_slow",
    message="the login service of the upstream is slow: try again",
    status=0,
)
T = TypeVar("T")


class Renewal:
    def __init__(self, *, pool: Pool, transport: Transport, endpoints: Endpoints) -> None:
        self._pool = pool
        self._transport = transport
        self._endpoints = endpoints
        self._under_way: dict[tuple[str, int], asyncio.Task[Renewed]] = {}

    async def refresh(
        self, credential: Credential, others: Callable[[], bool] = lambda: False
    ) -> Renewed:
        """The credential with another access token than it has now, or the verdict on why there is none.

        `others`: whether other credentials could take the call. Then nobody waits long for a login service that is slow,
        or for a process that died while it refreshed: the refresh goes on for those who come later.
        """
        # Somebody may have refreshed it since this call took its copy.
        current = self._pool.get(credential.id)
        if current is not None and current.token not in ("", credential.token):
            return current
        task = self._once("refresh", credential.id, lambda: self._refresh(credential))
        done, _ = await asyncio.wait({task}, timeout=_PATIENCE_S)
        if not done and others():
            return _SLOW
        return await asyncio.shield(task)

    async def discover_project(self, credential: Credential) -> Renewed:
        current = self._pool.get(credential.id)
        if current is not None and current.project:
            return current
        task = self._once("discover", credential.id, lambda: self._discover(credential))
        return await asyncio.shield(task)

    def _once(
        self, what: str, credential_id: int, start: Callable[[], Coroutine[Any, Any, Renewed]]
    ) -> asyncio.Task[Renewed]:
        """To be waited for with a shield: a client that leaves must not stop what others wait for."""
        key = (what, credential_id)
        task = self._under_way.get(key)
        if task is None:
            task = spawn(start(), name=f"{what} credential {credential_id}")
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return task

    async def _refresh(self, credential: Credential) -> Renewed:
        try:
            snapshot = await database_sync_to_async(_refreshed, thread_sensitive=False)(
                credential.id, credential.token
            )
        except services.RefreshRefused as refused:
            # The service has recorded why, with the state that fits; here it is only out of the way.
            self._pool.remove(credential.id)
            return Verdict(
                fault=Fault.NEXT_CREDENTIAL,
                kind="auth",
                reason=refused.reason,
                message=refused.message,
            )
        except (GatewayError, DatabaseError) as exc:
            if isinstance(exc, ProxyFailed) and credential.proxy:
                return own_proxy_verdict(exc, time.time())
            logger.warning("credential %d could not be refreshed for now: %s", credential.id, exc)
            return Verdict(
                fault=Fault.RETRY,
                kind="network",
                reason="refresh_failed",
                message="the login service of the upstream does not answer: try again",
            )
        renewed = as_credential(snapshot)
        self._pool.renew(renewed)
        return renewed

    async def _discover(self, credential: Credential) -> Renewed:
        try:
            steps = code_assist_setup.discover(credential, self._endpoints)
            found = await drive(self._transport, steps, credential.proxy)
        except GatewayError as exc:
            if isinstance(exc, ProxyFailed) and credential.proxy:
                return own_proxy_verdict(exc, time.time())
            return Verdict(fault=Fault.RETRY, kind="network", reason=exc.code, message=exc.message)
        if found.verdict.fault is not Fault.OK:
            return found.verdict
        await self._enable_services(credential, found.project)
        await database_sync_to_async(services.set_project)(
            credential_id=credential.id, project=found.project, tier=found.tier
        )
        renewed = msgspec.structs.replace(credential, project=found.project)
        self._pool.renew(renewed)
        return renewed

    async def _enable_services(self, credential: Credential, project: str) -> None:
        """Often a project works without; if it does not, the first call's error says so, with a link."""
        steps = code_assist_setup.enable_services(credential, self._endpoints, project)
        try:
            off = await drive(self._transport, steps, credential.proxy)
        except GatewayError as exc:
            logger.info("the services of credential %d were not looked at: %s", credential.id, exc)
            return
        if off:
            logger.info("credential %d: %s could not be enabled", credential.id, ", ".join(off))


async def drive(
    transport: Transport, steps: Generator[code_assist_setup.Ask, Answer, T], proxy: str
) -> T:
    """Run a generator that asks the upstream, by way of the credential's `proxy`. Raises GatewayError when it cannot be
    asked."""
    try:
        ask = next(steps)
        while True:
            if ask.after_s:
                await asyncio.sleep(ask.after_s)
            ask = steps.send(await transport.fetch(ask.request, proxy=proxy))
    except StopIteration as stop:
        result: T = stop.value
        return result


def _refreshed(credential_id: int, stale_token: str) -> selectors.CredentialSnapshot:
    services.refresh_access_token(credential_id=credential_id, stale_token=stale_token)
    return selectors.snapshot_of(credential_id)
