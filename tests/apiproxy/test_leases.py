"""A lease goes back whatever happens between taking it and the end of the answer, and so does its permit."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from asgiref.sync import sync_to_async

from apiproxy import relay as relay_module
from apiproxy.trace import Trace
from apiproxy.wire.types import Action, Call, Credential, Head, Model
from credentials.caps import Caps
from credentials.models import Allowance
from credentials.services.permits import Permit, put_back

MODEL = Model(id="m", providers=("gemini_api",))


@pytest.fixture
def relay(edge, lent):
    """Of its credentials only one is there: capped, its token to be refreshed first."""
    pool = edge.runtime.pool
    for pk in lent:
        pool.remove(pk)
    pool.put(
        Credential(id=lent[0], provider="gemini_api", token="t", expires_at=1.0),
        caps=Caps(calls_a_day=10),
    )
    return edge.runtime.relay


def opening(relay):
    call = Call(
        head=Head("req", 0.0),
        dialect="gemini",
        model=MODEL,
        requested_model="m",
        action=Action.GENERATE,
        stream=False,
        body={"contents": []},
    )
    return relay.open(call, Trace(request_id="req", started_at=0.0, started=0.0, dialect="gemini"))


async def nothing_is_kept(edge, lent):
    assert edge.runtime.pool.in_flight() == 0
    for _ in range(2):  # what was asked before, and what its outcome asked for
        await edge.runtime.writer.ask(put_back, Permit(credential_id=0))

    def taken():
        return list(Allowance.objects.filter(credential=lent[0]).values_list("taken", flat=True))

    assert await sync_to_async(taken)() in ([], [0])


def failing(*_):
    raise RecursionError


async def test_a_body_that_cannot_be_mended(edge, lent, relay, monkeypatch):
    relay._refusals["gemini_api", "m"] = True
    monkeypatch.setattr(relay_module, "older_schemas", failing)
    with pytest.raises(RecursionError):
        await opening(relay)
    await nothing_is_kept(edge, lent)


async def test_a_provider_that_nobody_knows(edge, lent, relay, monkeypatch):
    monkeypatch.setattr(relay, "_providers", {})
    with pytest.raises(KeyError):
        await opening(relay)
    await nothing_is_kept(edge, lent)


async def test_a_client_that_leaves_during_a_refresh(edge, lent, relay, monkeypatch):
    refreshing = asyncio.Event()

    async def refresh(*_):
        refreshing.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(relay, "_renewal", SimpleNamespace(refresh=refresh))
    call = asyncio.ensure_future(opening(relay))
    async with asyncio.timeout(10):
        await refreshing.wait()
        assert edge.runtime.pool.in_flight() == 1
        call.cancel()
        await asyncio.wait({call})
        await nothing_is_kept(edge, lent)


async def test_a_client_that_leaves_while_its_permit_is_asked_for(edge, lent, relay):
    call = asyncio.ensure_future(opening(relay))
    await asyncio.sleep(0)
    assert edge.runtime.pool.in_flight() == 1
    call.cancel()
    async with asyncio.timeout(10):
        await asyncio.wait({call})
        await nothing_is_kept(edge, lent)


async def test_a_call_that_is_thrown_away_by_its_loop(edge, lent, relay, monkeypatch):
    async def refresh(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(relay, "_renewal", SimpleNamespace(refresh=refresh))
    edge.runtime.pool.put(Credential(id=lent[0], provider="gemini_api", token="t", expires_at=1.0))
    coroutine = opening(relay)
    coroutine.send(None)
    assert edge.runtime.pool.in_flight() == 1
    coroutine.close()
    await nothing_is_kept(edge, lent)


async def test_a_first_answer_that_cannot_be_noted(edge, fake, lent, relay, monkeypatch):
    pool = edge.runtime.pool
    pool.put(Credential(id=lent[0], provider="gemini_api", token="t"))

    async def answers(*_, **__):
        return None

    monkeypatch.setattr(relay, "_send", answers)
    monkeypatch.setattr(relay, "_answered", failing)
    with pytest.raises(RecursionError):
        await opening(relay)
    await nothing_is_kept(edge, lent)
