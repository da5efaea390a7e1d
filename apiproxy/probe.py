"""Does a credential work? One tiny call tells: the same way as a client's, but with this credential alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import msgspec
from channels.db import database_sync_to_async
from msgspec import Struct

from apiproxy.config import ProxyConfig
from apiproxy.feed import as_credential
from apiproxy.pool import Pool
from apiproxy.providers import PROVIDERS
from apiproxy.relay import Relay
from apiproxy.renewal import Renewal
from apiproxy.request import new_request_id
from apiproxy.trace import Trace
from apiproxy.transport import Transport
from apiproxy.wire.types import OK, Action, Call, Credential, Head, Model, Verdict
from credentials import selectors, services
from credentials.states import Event, StateMove, event_of
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.errors import GatewayError

_AT_ONCE = 4
_MODEL = Model(id="gemini-2.5-flash", providers=("gemini_api", "code_assist"))

_WORDS = {
    "rate": "rate-limited",
    "quota": "rate-limited",
    "credits": "rate-limited",
    "licence": "needs licence",
    "verification": "needs verification",
    "banned": "banned by Google",
    "auth": "revoked",
    "configuration": "misconfigured",
    "location": "not served from here",
    "model_missing": f"lacks {_MODEL.id}",
    "client": "refuses the probe",
}


class Finding(Struct, frozen=True):
    """`verdict` is in words for people; `usable` also for one that only rests."""

    credential_id: int
    label: str
    verdict: str
    usable: bool
    detail: str = ""
    help_url: str = ""


class _Listener:
    """Keeps the last verdict that a probe was judged by."""

    def __init__(self) -> None:
        self.verdict = OK

    def judged(
        self, *, credential_id: int, model: str, verdict: Verdict, request_id: str, recovered: bool
    ) -> None:
        self.verdict = verdict


async def check(config: ProxyConfig, credential_ids: Sequence[int]) -> AsyncIterator[Finding]:
    """Probe each and record what was found; findings come as they are made."""
    transport = Transport(config, time.time)
    await transport.start()
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(credential_id: int) -> Finding:
        async with limit:
            return await _check_one(config, transport, credential_id)

    try:
        for finding in asyncio.as_completed([one(pk) for pk in credential_ids]):
            yield await finding
    finally:
        await transport.stop()


async def _check_one(config: ProxyConfig, transport: Transport, credential_id: int) -> Finding:
    try:
        snapshot = await database_sync_to_async(selectors.snapshot_of)(credential_id)
    except SecretUnreadable:
        return Finding(credential_id, "", "unreadable", False, "its secret fits none of the keys")
    verdict = await _probe(config, transport, as_credential(snapshot))
    await database_sync_to_async(_record)(credential_id, verdict)
    if verdict is OK:
        return Finding(credential_id, snapshot.label, "works", True)
    words = (
        "retired by Google"
        if verdict.reason == "retired_by_google"
        else (_WORDS.get(verdict.kind, "unreachable"))
    )
    usable = verdict.kind in ("rate", "quota", "credits")
    return Finding(credential_id, snapshot.label, words, usable, verdict.message, verdict.help_url)


async def _probe(config: ProxyConfig, transport: Transport, credential: Credential) -> Verdict:
    pool = Pool(time.time)
    pool.put(credential)
    listener = _Listener()
    relay = Relay(
        config=msgspec.structs.replace(config, max_attempts=1, auto_ban_statuses=frozenset()),
        clock=time.time,
        pool=pool,
        renewal=Renewal(pool=pool, transport=transport, endpoints=config.endpoints),
        transport=transport,
        recorder=listener,
        providers=PROVIDERS,
    )
    now = time.time()
    request_id = new_request_id()
    call = Call(
        head=Head(request_id, now),
        dialect="gemini",
        model=_MODEL,
        requested_model=_MODEL.id,
        action=Action.GENERATE,
        stream=False,
        body={
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"maxOutputTokens": 1},
        },
    )
    trace = Trace(request_id=request_id, started_at=now, started=0.0, dialect="probe")
    try:
        opened = await relay.open(call, trace)
        opened.close()
    except GatewayError:
        return listener.verdict
    return OK


def _record(credential_id: int, verdict: Verdict) -> None:
    event = Event.PROBED if verdict is OK else event_of(verdict.fault.value, verdict.kind)
    if event is not None:
        move = StateMove(
            credential_id=credential_id,
            event=event,
            model=_MODEL.id,
            reason=verdict.reason,
            until=verdict.until,
            help_url=verdict.help_url,
            whole=verdict.whole or verdict is OK,
        )
        services.apply_verdicts(changes=[move])
