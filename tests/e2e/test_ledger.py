"""The ledger over the wire: exact under load, and after a process was killed in the middle of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter

import httpx
import pytest

from tests.e2e.dialects import (
    GEMINI,
    OPENAI,
    ask_at_once,
    error_of,
    events_of,
    only_postgres,
)
from tests.e2e.gateway import HOLDER_LEASE_S, UPSTREAM_READ_TIMEOUT_S
from tests.e2e.processes import eventually

PRICE = 2
TEXT = "one two three four five six seven eight"


@pytest.mark.parametrize(
    ("dialect", "stream"), [(OPENAI, False), (GEMINI, True)], ids=["openai", "gemini-stream"]
)
def test_two_hundred_calls_on_a_quota_for_ten(gateway, google, dialect, stream):
    gateway.lend("gemini_api", "code_assist")
    google.script("silence_headers", silence_s=0.2)
    key = gateway.key(10 * PRICE)
    answers = ask_at_once(gateway.url, dialect, key, 200, stream=stream)
    assert Counter(answer.status_code for answer in answers) == {200: 10, 429: 190}
    for refused in (answer for answer in answers if answer.status_code == 429):
        error = error_of(refused, dialect, 429)
        assert "quota" in error["message"]
        if dialect is OPENAI:
            assert error["code"] == "insufficient_quota"
    assert gateway.balance(key) == {"total": 20, "used": 20, "reserved": 0, "remaining": 0}
    assert len(google.calls()) == 10
    proof = gateway.manage("prove_ledger", "--json")
    assert proof["ok"] is True


def test_what_fails_gives_its_place_to_others(gateway, google):
    """Fifteen calls on a quota for ten, of which the upstream refuses five: each refusal frees its reservation."""
    gateway.lend("gemini_api")
    google.script("error", error="bad_request", times=5)
    key = gateway.key(10 * PRICE)
    answers = ask_at_once(gateway.url, OPENAI, key, 15)
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[400] == 5
    balance = gateway.balance(key)
    assert balance["used"] == statuses[200] * PRICE
    assert balance["used"] + balance["remaining"] == 20
    while gateway.balance(key)["remaining"]:
        [answer] = ask_at_once(gateway.url, OPENAI, key, 1)
        assert answer.status_code == 200
    [answer] = ask_at_once(gateway.url, OPENAI, key, 1)
    assert answer.status_code == 429


@only_postgres
def test_a_call_that_outlives_the_lease_is_not_taken_for_a_dead_ones(gateway, google):
    """Its process gives life signs all the while."""
    gateway.lend("gemini_api")
    google.script("slow", text=TEXT, count=6, interval_s=HOLDER_LEASE_S / 4)
    key = gateway.key()
    [answer] = ask_at_once(gateway.url, OPENAI, key, 1, stream=True)
    assert OPENAI.stream_text(events_of(answer.text)) == TEXT
    booked = [entry["kind"] for entry in gateway.hand("entries", key=key)]
    assert booked == ["grant", "settle"]


def test_a_killed_process_leaves_a_ledger_that_the_sweep_makes_exact(gateway, google):
    gateway.lend("gemini_api", "gemini_api")
    google.script("text", text=TEXT, times=10)
    # Content first, then a silence in which the process dies.
    google.script("silence_mid", text=TEXT, count=8, silence_s=UPSTREAM_READ_TIMEOUT_S - 1)
    key = gateway.key()
    victim = gateway.web_pids()[0]

    async def one_call(client):
        """(request id or None, whether the client got all of it)."""
        request_id, text = None, ""
        body, headers = OPENAI.body(stream=True), OPENAI.headers(key)
        try:
            async with client.stream("POST", OPENAI.path(), json=body, headers=headers) as response:
                request_id = response.headers["x-request-id"]
                async for piece in response.aiter_text():
                    text += piece
        except httpx.HTTPError:
            return request_id, False
        return request_id, OPENAI.stream_text(events_of(text)) == TEXT and "[DONE]" in text

    async def calls_and_a_kill():
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=0)
        options = {"limits": limits, "trust_env": False, "verify": False, "timeout": 60}
        async with httpx.AsyncClient(base_url=gateway.url, **options) as client:
            finished = [asyncio.ensure_future(one_call(client)) for _ in range(10)]
            await asyncio.gather(*finished)
            with gateway.only(victim):
                doomed = [asyncio.ensure_future(one_call(client)) for _ in range(20)]
                await asyncio.to_thread(google.wait_for_calls, 30, timeout_s=30)
            others = []
            if gateway.workers > 1:
                survivor = next(pid for pid in gateway.web_pids() if pid != victim)
                with gateway.only(survivor):
                    others = [asyncio.ensure_future(one_call(client)) for _ in range(20)]
                    await asyncio.to_thread(google.wait_for_calls, 50, timeout_s=30)
            os.kill(victim, signal.SIGKILL)
            return await asyncio.gather(*finished, *doomed, *others)

    outcomes = asyncio.run(calls_and_a_kill())
    complete = [request_id for request_id, whole in outcomes if whole]
    assert len(complete) >= 10 + 20 * (gateway.workers - 1)
    assert len(complete) < len(outcomes)
    assert gateway.hand("prove")["wrong"] == []
    eventually(
        lambda: gateway.hand("holds") == 0,
        "the sweep refunds what the dead process held",
        HOLDER_LEASE_S + 15,
    )
    booked = [e for e in gateway.hand("entries", key=key) if e["kind"] != "grant"]
    settled = Counter(entry["request_id"] for entry in booked if entry["kind"] == "settle")
    assert all(settled[request_id] == 1 for request_id in complete)
    assert set(settled.values()) == {1}
    swept = [entry for entry in booked if entry["reason"] == "the process serving the call died"]
    assert swept
    assert len(booked) == len(outcomes)
    balance = gateway.balance(key)
    assert balance["used"] == PRICE * len(settled)
    assert balance["reserved"] == 0
    assert gateway.manage("prove_ledger", "--json")["ok"] is True
    eventually(
        lambda: len(pids := gateway.web_pids()) == gateway.workers and victim not in pids,
        "another process takes its place",
    )
    google.clear_scripts()
    for pid in gateway.web_pids():
        with gateway.lane(pid) as client:
            response = client.post(OPENAI.path(), json=OPENAI.body(), headers=OPENAI.headers(key))
            assert response.status_code == 200
