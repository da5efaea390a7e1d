"""One call: pick a credential, send, judge the answer, try the next. Another credential is tried only until the first
content has been handed out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from apiproxy.blame import (
    EMPTY,
    TOKEN_REFUSED,
    Judged,
    error_of,
    network_verdict,
    own_proxy_verdict,
)
from apiproxy.config import ProxyConfig
from apiproxy.expiring import ExpiringDict
from apiproxy.opened import Opened
from apiproxy.permits import NONE_NEEDED, Free, Permits
from apiproxy.picking import Picker
from apiproxy.pool import Lease, Pool
from apiproxy.providers.base import Provider
from apiproxy.renewal import Renewal
from apiproxy.repairs import SCHEMAS, Repair, knows_no_json_schema, mend, older_schemas
from apiproxy.rules import Rule, Rulebook
from apiproxy.trace import Attempt, Trace
from apiproxy.transport import Response, Transport
from apiproxy.wire.types import OK, Answer, Call, Credential, Fault, Outgoing, Verdict
from credentials.services.permits import Permit
from gateway.lib.errors import (
    GatewayError,
    PoolExhausted,
    ProxyFailed,
    StreamBroken,
    UpstreamTimeout,
    UpstreamUnreachable,
)

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
        rules: Callable[[], Sequence[Rule]] = tuple,
        permits: Permits | None = None,
    ) -> None:
        """`rules`: this site's, the same object until they change."""
        self._config = config
        self._pool = pool
        self._clock = clock
        self._renewal = renewal
        self._transport = transport
        self._recorder = recorder
        self._providers = providers
        self._rules = rules
        self._known_rules: Sequence[Rule] = ()
        self._book = Rulebook((), config.auto_ban_statuses)
        self._picker = Picker(
            pool=pool, permits=permits or Free(), clock=clock, providers=providers
        )
        self._refusals: ExpiringDict[tuple[str, str], bool] = ExpiringDict(
            lifetime_s=_REFUSAL_REMEMBERED_S, max_items=_MOST_REFUSALS, clock=clock
        )
        """(provider, model) that knew no JSON Schema a while ago: its fields are not tried there on every call."""

    def configure(self, config: ProxyConfig) -> None:
        """For the attempts from now on."""
        self._config = config
        self._book = Rulebook(self._known_rules, config.auto_ban_statuses)

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
            lease, permit = await self._pick(call, trace, tried, last)
            tried.add(lease.credential.id)
            opened = await self._attempt(call, lease, permit, trace, tried, mended)
            if isinstance(opened, Opened):
                return opened
            last = opened
            if last.fault is Fault.CLIENT_FAULT:
                if last.rule:
                    break  # the site wants it handed over as it is
                if knows_no_json_schema(last):
                    self._refusals[lease.credential.provider, call.model.id] = True
                if not _apply(mend(call.body, last, mended), call, mended, trace):
                    break
                # The credential may be used again: it was not its fault.
                tried.discard(lease.credential.id)
        raise error_of(last or EMPTY, call, self._clock())

    async def _pick(
        self, call: Call, trace: Trace, tried: set[int], last: Verdict | None
    ) -> tuple[Lease, Permit]:
        try:
            return await self._picker.pick(call, trace, tried)
        except PoolExhausted as exhausted:
            if last is None:
                raise
            if last.fault is not Fault.RETRY:
                raise error_of(last, call, self._clock()) from exhausted
            # Nobody was at fault, so nobody is worse than before.
            return await self._picker.pick(call, trace, ())

    def _pause_s(self, pauses: int) -> float:
        pause: float = self._config.retry_interval_s * 2**pauses
        return pause * random.uniform(0.7, 1.3)

    async def _attempt(
        self,
        call: Call,
        lease: Lease,
        permit: Permit,
        trace: Trace,
        tried: Collection[int],
        mended: set[str],
    ) -> Opened | Verdict:
        """Either an answer with content in hand, which keeps the lease, or the verdict that ended the attempt."""
        attempt = Attempt(lease.credential.id, lease.credential.provider)
        trace.attempts.append(attempt)
        opened = Opened(self, call, lease, attempt, trace.request_id, permit)
        # Nothing before this may fail: from here on the lease goes back whatever happens.
        try:
            opened.provider = self._providers[lease.credential.provider]
            upstream = (lease.credential.provider, call.model.id)
            if SCHEMAS not in mended and self._refusals.get(upstream):
                _apply(older_schemas(call.body), call, mended, trace)
            verdict = await self._send(opened, tried, fresh_token=False)
            if verdict is not None and verdict.fault is Fault.REFRESH:
                verdict = await self._send(opened, tried, fresh_token=True)
                if verdict is not None and verdict.fault is Fault.REFRESH:
                    verdict = TOKEN_REFUSED
            if verdict is not None and verdict.builtin is None:
                # What was judged without an answer: the network, a token, nothing at all.
                verdict = self._by_rule(opened, verdict)
            if verdict is None:
                self._answered(opened)
                return opened
        except BaseException:
            opened.end(None)
            raise
        opened.end(verdict)
        return verdict

    def _answered(self, opened: Opened) -> None:
        """A credential back from a rest need not wait for the end of the answer to be known to work."""
        if opened.lease.trying and self._pool.answered(opened.lease):
            self._judged(opened, OK, recovered=True)
            self._picker.give_back(opened.permit, unserved=False)
            opened.permit = msgspec.structs.replace(opened.permit, trying=())

    async def _send(
        self, opened: Opened, tried: Collection[int], *, fresh_token: bool
    ) -> Verdict | None:
        """None when the upstream answers with content."""
        try:
            credential = await self._with_token(opened, tried, fresh_token)
            response = await self._exchange(opened, credential)
            opened.attempt.status = response.status
            if response.status == 200:
                await opened.answer(response)
                return None
        except Judged as judged:
            return judged.verdict
        answer = await self._transport.error_answer(response, opened.call.model.id)
        return self.judge(opened, answer)

    async def _with_token(self, opened: Opened, tried: Collection[int], forced: bool) -> Credential:
        credential, model = opened.lease.credential, opened.call.model
        expires_soon = credential.expires_at and (
            credential.expires_at - self._clock() < _REFRESH_BEFORE_EXPIRY_S
        )
        if forced or expires_soon:
            renewed = await self._renewal.refresh(
                credential, lambda: self._pool.has(model.id, model.providers, tried)
            )
            credential = _usable(renewed)
        if credential.provider == "code_assist" and not credential.project:
            credential = _usable(await self._renewal.discover_project(credential))
        return credential

    async def _exchange(self, opened: Opened, credential: Credential) -> Response:
        """Drive the provider's exchange; a preparatory answer that is an error ends it."""
        steps = opened.provider.exchange(opened.call, credential, self._config.endpoints)
        try:
            outgoing = next(steps)
            while True:
                answer = await self._fetch(outgoing, opened.call.model.id, credential)
                if answer.status >= 400:
                    raise Judged(self.judge(opened, answer))
                outgoing = steps.send(answer)
        except StopIteration as stop:
            last: Outgoing = stop.value
        try:
            return await self._transport.send(last, credential.proxy)
        except (UpstreamUnreachable, UpstreamTimeout) as exc:
            raise Judged(self._network_verdict(exc, credential)) from exc

    async def _fetch(self, outgoing: Outgoing, model: str, credential: Credential) -> Answer:
        try:
            return await self._transport.fetch(outgoing, model, credential.proxy)
        except (UpstreamUnreachable, UpstreamTimeout, StreamBroken) as exc:
            raise Judged(self._network_verdict(exc, credential)) from exc

    def _network_verdict(self, exc: GatewayError, credential: Credential) -> Verdict:
        if isinstance(exc, ProxyFailed) and credential.proxy:
            return own_proxy_verdict(exc, self._clock())
        return network_verdict(exc)

    def judge(self, opened: Opened, answer: Answer) -> Verdict:
        verdict = opened.provider.classify(answer)
        if verdict.kind == "model_missing" and not opened.call.model.listed:
            # Clients can make names up without end: none of them is worth remembering.
            verdict = msgspec.structs.replace(verdict, fault=Fault.NEXT_CREDENTIAL)
        return self._by_rule(opened, verdict)

    def _by_rule(self, opened: Opened, verdict: Verdict) -> Verdict:
        credential = opened.lease.credential
        if credential.id == 0:
            return verdict
        return self._rulebook().apply(
            verdict, credential.provider, self._clock(), listed=opened.call.model.listed
        )

    def _rulebook(self) -> Rulebook:
        """Made anew when the site's rules changed."""
        rules = self._rules()
        if rules is not self._known_rules:
            self._known_rules = rules
            self._book = Rulebook(rules, self._config.auto_ban_statuses)
        return self._book

    def finish(self, opened: Opened, verdict: Verdict | None) -> None:
        opened.attempt.outcome = "client_gone" if verdict is None else verdict.kind or "ok"
        if verdict is not None:
            opened.attempt.reason = verdict.explained
            opened.attempt.verdict = verdict
        verdict = self._pool.release(opened.lease, verdict)
        if verdict is not None:
            self._judged(opened, verdict, recovered=False)
        if opened.permit is not NONE_NEEDED:
            self._picker.give_back(opened.permit, unserved=verdict is not OK and not opened.first)

    def _judged(self, opened: Opened, verdict: Verdict, *, recovered: bool) -> None:
        self._recorder.judged(
            credential_id=opened.lease.credential.id,
            model=opened.call.model.id,
            verdict=verdict,
            request_id=opened.request_id,
            recovered=recovered,
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
