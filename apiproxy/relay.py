"""One call: pick a credential, send, judge the answer, try the next. Another credential is tried only until the first
content has been handed out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from apiproxy.blame import EMPTY, TOKEN_REFUSED, Judged, error_of, network_verdict
from apiproxy.config import ProxyConfig
from apiproxy.expiring import ExpiringDict
from apiproxy.opened import Opened
from apiproxy.pool import Lease, Pool
from apiproxy.providers.base import Provider
from apiproxy.renewal import Renewal
from apiproxy.repairs import SCHEMAS, Repair, knows_no_json_schema, mend, older_schemas
from apiproxy.trace import Attempt, Trace
from apiproxy.transport import Response, Transport
from apiproxy.wire.types import Answer, Call, Credential, Fault, Outgoing, Verdict
from gateway.lib.errors import PoolExhausted, StreamBroken, UpstreamTimeout, UpstreamUnreachable

_REFRESH_BEFORE_EXPIRY_S = 60.0
# An overloaded upstream is asked twice more; a client that wants more patience repeats the call itself.
_MOST_PAUSES = 2
_REFUSAL_REMEMBERED_S = 3600.0
_MOST_REFUSALS = 1000


class Judges(Protocol):
    """Who is told what became of a credential."""

    def judged(
        self, *, credential_id: int, model: str, verdict: Verdict, request_id: str, recovered: bool
    ) -> None: ...


class Relay:
    def __init__(
        self,
        *,
        config: ProxyConfig,
        clock: Callable[[], float],
        pool: Pool,
        renewal: Renewal,
        transport: Transport,
        recorder: Judges,
        providers: Mapping[str, Provider],
    ) -> None:
        self._config = config
        self._pool = pool
        self._clock = clock
        self._renewal = renewal
        self._transport = transport
        self._recorder = recorder
        self._providers = providers
        self._refusals: ExpiringDict[tuple[str, str], bool] = ExpiringDict(
            lifetime_s=_REFUSAL_REMEMBERED_S, max_items=_MOST_REFUSALS, clock=clock
        )
        """(provider, model) that knew no JSON Schema a while ago: its fields are not tried there on every call."""

    async def open(self, call: Call, trace: Trace) -> Opened:
        """The answer with its first content. Raises the GatewayError that fits the last verdict."""
        tried: set[int] = set()
        mended: set[str] = set()
        last: Verdict | None = None
        pauses = 0
        attempts = 0
        # A repair costs an attempt of its own, so that it is made even where nothing is tried twice.
        while attempts < self._config.max_attempts + len(mended):
            attempts += 1
            if last is not None and last.fault is Fault.RETRY:
                if pauses == _MOST_PAUSES:
                    break
                await asyncio.sleep(self._pause_s(pauses))
                pauses += 1
            lease = self._acquire(call, tried, last)
            tried.add(lease.credential.id)
            upstream = (lease.credential.provider, call.model.id)
            if SCHEMAS not in mended and self._refusals.get(upstream):
                _apply(older_schemas(call.body), call, mended, trace)
            opened = await self._attempt(call, lease, trace)
            if isinstance(opened, Opened):
                return opened
            last = opened
            if last.fault is Fault.CLIENT_FAULT:
                if knows_no_json_schema(last):
                    self._refusals[upstream] = True
                if not _apply(mend(call.body, last, mended), call, mended, trace):
                    break
                # The credential may be used again: it was not its fault.
                tried.discard(lease.credential.id)
        raise error_of(last or EMPTY, call, self._clock())

    def _acquire(self, call: Call, tried: set[int], last: Verdict | None) -> Lease:
        providers = call.model.providers
        try:
            return self._pool.acquire(call.model.id, providers, tried)
        except PoolExhausted as exhausted:
            if last is None:
                raise
            if last.fault is not Fault.RETRY:
                raise error_of(last, call, self._clock()) from exhausted
            # Nobody was at fault, so nobody is worse than before.
            return self._pool.acquire(call.model.id, providers)

    def _pause_s(self, pauses: int) -> float:
        pause: float = self._config.retry_interval_s * 2**pauses
        return pause * random.uniform(0.7, 1.3)

    async def _attempt(self, call: Call, lease: Lease, trace: Trace) -> Opened | Verdict:
        """Either an answer with content in hand, which keeps the lease, or the verdict that ended the attempt."""
        attempt = Attempt(lease.credential.id, lease.credential.provider)
        trace.attempts.append(attempt)
        provider = self._providers[lease.credential.provider]
        opened = Opened(self, provider, call, lease, attempt, trace.request_id)
        try:
            verdict = await self._send(opened, fresh_token=False)
            if verdict is not None and verdict.fault is Fault.REFRESH:
                verdict = await self._send(opened, fresh_token=True)
                if verdict is not None and verdict.fault is Fault.REFRESH:
                    verdict = TOKEN_REFUSED
        except BaseException:
            opened.end(None)
            raise
        if verdict is None:
            return opened
        opened.end(verdict)
        return verdict

    async def _send(self, opened: Opened, *, fresh_token: bool) -> Verdict | None:
        """None when the upstream answers with content."""
        try:
            credential = await self._with_token(opened.lease.credential, fresh_token)
            response = await self._exchange(opened, credential)
            opened.attempt.status = response.status
            if response.status == 200:
                await opened.answer(response)
                return None
        except Judged as judged:
            return judged.verdict
        answer = await self._transport.error_answer(response, opened.call.model.id)
        return self.judge(opened, answer)

    async def _with_token(self, credential: Credential, forced: bool) -> Credential:
        expires_soon = credential.expires_at and (
            credential.expires_at - self._clock() < _REFRESH_BEFORE_EXPIRY_S
        )
        if forced or expires_soon:
            credential = _usable(await self._renewal.refresh(credential))
        if credential.provider == "code_assist" and not credential.project:
            credential = _usable(await self._renewal.discover_project(credential))
        return credential

    async def _exchange(self, opened: Opened, credential: Credential) -> Response:
        """Drive the provider's exchange; a preparatory answer that is an error ends it."""
        steps = opened.provider.exchange(opened.call, credential, self._config.endpoints)
        try:
            outgoing = next(steps)
            while True:
                answer = await self._fetch(outgoing, opened.call.model.id)
                if answer.status >= 400:
                    raise Judged(self.judge(opened, answer))
                outgoing = steps.send(answer)
        except StopIteration as stop:
            last: Outgoing = stop.value
        try:
            return await self._transport.send(last)
        except (UpstreamUnreachable, UpstreamTimeout) as exc:
            raise Judged(network_verdict(exc)) from exc

    async def _fetch(self, outgoing: Outgoing, model: str) -> Answer:
        try:
            return await self._transport.fetch(outgoing, model)
        except (UpstreamUnreachable, UpstreamTimeout, StreamBroken) as exc:
            raise Judged(network_verdict(exc)) from exc

    def judge(self, opened: Opened, answer: Answer) -> Verdict:
        verdict = opened.provider.classify(answer)
        if verdict.kind == "model_missing" and not opened.call.model.listed:
            # Clients can make names up without end: none of them is worth remembering.
            return msgspec.structs.replace(verdict, fault=Fault.NEXT_CREDENTIAL)
        if self._bans(opened, verdict):
            reason = verdict.reason or "auto_ban"
            return msgspec.structs.replace(verdict, fault=Fault.DISABLE, reason=reason)
        return verdict

    def _bans(self, opened: Opened, verdict: Verdict) -> bool:
        """AUTO_BAN: a listed status takes the credential out, unless the fault may be the client's or nobody's."""
        return (
            verdict.status in self._config.auto_ban_statuses
            and verdict.fault in (Fault.COOL_DOWN, Fault.NEXT_CREDENTIAL)
            and verdict.kind not in ("client", "model_missing")
            and opened.lease.credential.id != 0
        )

    def finish(self, opened: Opened, verdict: Verdict | None) -> None:
        opened.attempt.outcome = "client_gone" if verdict is None else verdict.kind or "ok"
        opened.attempt.reason = verdict.reason if verdict else ""
        self._pool.release(opened.lease, verdict)
        if verdict is not None:
            self._recorder.judged(
                credential_id=opened.lease.credential.id,
                model=opened.call.model.id,
                verdict=verdict,
                request_id=opened.request_id,
                recovered=opened.lease.recovering and verdict.fault is Fault.OK,
            )

    def now(self) -> float:
        return self._clock()


def _apply(repair: Repair | None, call: Call, mended: set[str], trace: Trace) -> bool:
    """Whether there was something to repair; `mended` are the kinds that were."""
    if repair is None:
        return False
    mended.add(repair.kind)
    call.body = repair.body
    trace.dropped.insert(0, repair.note)
    return True


def _usable(renewed: Credential | Verdict) -> Credential:
    if isinstance(renewed, Verdict):
        raise Judged(renewed)
    return renewed
