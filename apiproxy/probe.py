"""Does a credential work? One tiny call tells: the same way as a client's, but with this credential alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from apiproxy.config import ProxyConfig
from apiproxy.pool import Pool
from apiproxy.providers import PROVIDERS
from apiproxy.relay import Relay
from apiproxy.renewal import Renewal
from apiproxy.request import new_request_id
from apiproxy.trace import Trace
from apiproxy.transport import Transport
from apiproxy.wire.types import OK, Action, Call, Credential, Head, Model, Verdict
from credentials.states import Event, StateMove, event_of
from credentials.upstream import Finding
from credentials.words import explain
from gateway.lib.errors import GatewayError

AT_ONCE = 4
_MODEL = Model(id="gemini-2.5-flash", providers=("gemini_api", "code_assist"))

RESTS = frozenset({"rate", "quota", "credits"})
"""Kinds that end by themselves: the credential is usable."""
_VERDICTS = {
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
UNREACHABLE = "unreachable"
_WHAT_TO_DO = {
    "location": (
        "Google does not serve the place this server's calls come from: let them go out elsewhere (PROXY, or a proxy of "
        "this credential)."
    ),
    "model_missing": "Its account does not have this model; others may work.",
    UNREACHABLE: "Nothing is known against the credential: Google could not be asked. Test it again in a few minutes.",
}


class _Listener:
    """Keeps the last verdict that a probe was judged by."""

    def __init__(self) -> None:
        self.verdict = OK

    def judged(
        self, *, credential_id: int, model: str, verdict: Verdict, request_id: str, recovered: bool
    ) -> None:
        self.verdict = verdict


async def probe(config: ProxyConfig, credentials: Sequence[Credential]) -> list[Verdict]:
    """A verdict for each, in their order; nothing is recorded."""
    transport = Transport(config, time.time)
    await transport.start()
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(credential: Credential) -> Verdict:
        async with limit:
            return await _probe(config, transport, credential)

    try:
        return await asyncio.gather(*map(one, credentials))
    finally:
        await transport.stop()


def finding(credential: Credential, verdict: Verdict) -> Finding:
    """In words for people: what was found, and what to do now."""
    if verdict is OK:
        return Finding(credential.id, credential.label, "works", usable=True)
    word = _VERDICTS.get(verdict.kind, UNREACHABLE)
    if verdict.reason == "retired_by_google":
        word = explain("needs_attention", verdict.reason).verdict
    return Finding(
        credential.id,
        credential.label,
        word,
        usable=verdict.kind in RESTS,
        detail=_todo(verdict),
        help_url=verdict.help_url,
    )


def move_of(credential_id: int, verdict: Verdict, request_id: str = "") -> StateMove | None:
    """What the verdict of a probe means for the credential's state; None for nothing."""
    event = Event.PROBED if verdict is OK else event_of(verdict.fault.value, verdict.kind)
    if event is None:
        return None
    return StateMove(
        credential_id=credential_id,
        event=event,
        model=_MODEL.id,
        reason=verdict.reason,
        until=verdict.until,
        help_url=verdict.help_url,
        request_id=request_id,
        whole=verdict.whole or verdict is OK,
    )


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


def _todo(verdict: Verdict) -> str:
    if verdict.kind in RESTS:
        if not verdict.until:
            return "Nothing: it goes on by itself."
        until = datetime.fromtimestamp(verdict.until, UTC)
        return f"Nothing: it goes on by itself at {until:%Y-%m-%d %H:%M} UTC."
    kind = verdict.kind if verdict.kind in _VERDICTS else UNREACHABLE
    known = explain("needs_attention", verdict.reason)
    general = explain("needs_attention")
    return known.todo if known is not general else _WHAT_TO_DO.get(kind, verdict.message)
