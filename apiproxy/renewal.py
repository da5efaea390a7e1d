"""Making a lent login usable for a call: a fresh access token, and the Cloud project it works in.

Many calls may find the same token stale at once: in a process they share one task, and processes share one refresh
through the lease in the database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

import msgspec
from channels.db import database_sync_to_async
from django.db import DatabaseError

from apiproxy.feed import as_credential
from apiproxy.pool import Pool
from apiproxy.providers import code_assist_setup
from apiproxy.transport import Transport
from apiproxy.wire.types import Answer, Credential, Endpoints, Fault, Verdict
from credentials import selectors, services
from gateway.lib.errors import GatewayError
from gateway.lib.tasks import spawn

logger = logging.getLogger(__name__)

Renewed = Credential | Verdict
T = TypeVar("T")


class Renewal:
    def __init__(self, *, pool: Pool, transport: Transport, endpoints: Endpoints) -> None:
        self._pool = pool
        self._transport = transport
        self._endpoints = endpoints
        self._under_way: dict[tuple[str, int], asyncio.Task[Renewed]] = {}

    async def refresh(self, credential: Credential) -> Renewed:
        """The credential with another access token than it has now, or the verdict on why there is none."""
        # Somebody may have refreshed it since this call took its copy.
        current = self._pool.get(credential.id)
        if current is not None and current.token not in ("", credential.token):
            return current
        return await self._once("refresh", credential.id, lambda: self._refresh(credential))

    async def discover_project(self, credential: Credential) -> Renewed:
        current = self._pool.get(credential.id)
        if current is not None and current.project:
            return current
        return await self._once("discover", credential.id, lambda: self._discover(credential))

    async def _once(
        self, what: str, credential_id: int, start: Callable[[], Coroutine[Any, Any, Renewed]]
    ) -> Renewed:
        """Shielded: a client that leaves must not stop what others wait for."""
        key = (what, credential_id)
        task = self._under_way.get(key)
        if task is None:
            task = spawn(start(), name=f"{what} credential {credential_id}")
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

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
            logger.warning("credential %d could not be refreshed for now: %s", credential.id, exc)
            return Verdict(
                fault=Fault.RETRY,
                kind="network",
                reason="refresh_failed",
                message="the login service of the upstream does not answer: try again",
            )
        renewed = as_credential(snapshot)
        self._pool.put(renewed)
        return renewed

    async def _discover(self, credential: Credential) -> Renewed:
        try:
            found = await self._drive(code_assist_setup.discover(credential, self._endpoints))
        except GatewayError as exc:
            return Verdict(fault=Fault.RETRY, kind="network", reason=exc.code, message=exc.message)
        if found.verdict.fault is not Fault.OK:
            return found.verdict
        await self._enable_services(credential, found.project)
        await database_sync_to_async(services.set_project)(
            credential_id=credential.id, project=found.project, tier=found.tier
        )
        renewed = msgspec.structs.replace(credential, project=found.project)
        self._pool.put(renewed)
        return renewed

    async def _enable_services(self, credential: Credential, project: str) -> None:
        """Often a project works without; if it does not, the first call's error says so, with a link."""
        steps = code_assist_setup.enable_services(credential, self._endpoints, project)
        try:
            off = await self._drive(steps)
        except GatewayError as exc:
            logger.info("the services of credential %d were not looked at: %s", credential.id, exc)
            return
        if off:
            logger.info("credential %d: %s could not be enabled", credential.id, ", ".join(off))

    async def _drive(self, steps: Generator[code_assist_setup.Ask, Answer, T]) -> T:
        """Run a generator that asks the upstream. Raises GatewayError when it cannot be asked."""
        try:
            ask = next(steps)
            while True:
                if ask.after_s:
                    await asyncio.sleep(ask.after_s)
                ask = steps.send(await self._transport.fetch(ask.request))
        except StopIteration as stop:
            result: T = stop.value
            return result


def _refreshed(credential_id: int, stale_token: str) -> selectors.CredentialSnapshot:
    services.refresh_access_token(credential_id=credential_id, stale_token=stale_token)
    return selectors.snapshot_of(credential_id)
