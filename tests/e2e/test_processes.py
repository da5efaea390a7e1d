"""Several processes that are one gateway, and how it stops."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import ExitStack

import httpx
import psutil
import pytest

from tests.e2e.dialects import GEMINI, MODEL, OPENAI, ask, error_of, events_of, only_postgres
from tests.e2e.gateway import client_of
from tests.e2e.processes import eventually

STREAMS = 100
TEXT = "one two three four five six seven eight"


@pytest.fixture
def lanes(gateway):
    """A client for each web process."""
    with ExitStack() as stack:
        yield [stack.enter_context(gateway.lane(pid)) for pid in gateway.web_pids()]


def test_a_revoked_key_is_refused_by_every_process(gateway, lanes):
    gateway.lend("gemini_api")
    key = gateway.key()
    for client in lanes:
        assert ask(client, OPENAI, key).status_code == 200
    gateway.hand("revoke", key=key)
    for client in lanes:
        eventually(
            lambda client=client: ask(client, OPENAI, key).status_code == 401,
            "the key is refused",
            5,
        )
        error_of(ask(client, OPENAI, key), OPENAI, 401)


def test_an_issued_key_works_everywhere_at_once(gateway, lanes):
    gateway.lend("gemini_api")
    key = gateway.manage("create_key", "--quota", "10", "--json")["key"]
    for client in lanes:
        assert ask(client, OPENAI, key).status_code == 200


def test_an_expired_key_is_refused(gateway, lanes):
    gateway.lend("gemini_api")
    key = gateway.key()
    gateway.hand("expire", key=key)
    gateway.know_all_changes()
    for client in lanes:
        assert "expired" in error_of(ask(client, OPENAI, key), OPENAI, 401)["message"]


@only_postgres
@pytest.mark.parametrize(
    ("provider", "error"), [("gemini_api", "quota_minute"), ("code_assist", "ca_quota_daily")]
)
def test_what_one_process_learns_of_a_credential_the_other_knows(
    gateway, google, lanes, provider, error
):
    first, second = gateway.lend(provider, provider)
    google.script("error", credential=first.name, error=error)
    key = gateway.key()
    one, other = lanes
    # Either of them may be the first that a process tries.
    for _ in range(2):
        assert ask(one, OPENAI, key).status_code == 200
    assert len(google.calls(credential=first.name)) == 1
    eventually(
        lambda: gateway.hand("states", ids=[first.id])[0]["models"].get(MODEL),
        "the rest is recorded",
    )
    gateway.know_all_changes()
    for _ in range(4):
        assert ask(other, OPENAI, key).status_code == 200
    assert len(google.calls(credential=first.name)) == 1
    assert len(google.calls(credential=second.name)) == 6


@only_postgres
def test_a_token_refreshed_by_one_process_is_used_by_the_other(gateway, google, lanes):
    [lent] = gateway.lend("code_assist")
    google.expire(lent.name)
    key = gateway.key()
    one, other = lanes
    assert ask(one, OPENAI, key).status_code == 200
    gateway.know_all_changes()
    assert ask(other, OPENAI, key).status_code == 200
    assert len(google.refreshes(lent.email)) == 1
    assert [call.status for call in google.calls()] == [401, 200, 200]


@only_postgres
def test_a_tool_round_trip_over_two_processes(gateway, google, lanes):
    """The second turn reaches a process that never saw the first; a model that insists on signatures takes it."""
    gateway.lend("gemini_api")
    key = gateway.key()
    one, other = lanes
    tool = {"type": "function", "function": {"name": "get_weather"}}
    ask_weather = {"model": "gemini-3-flash-preview", "tools": [tool], "tool_choice": "required"}
    first = ask(one, OPENAI, key, **ask_weather).json()["choices"][0]["message"]
    [call] = first["tool_calls"]
    history = [
        {"role": "user", "content": "weather?"},
        {key: first[key] for key in ("role", "content", "tool_calls")},
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
    ]
    second = other.post(
        OPENAI.path(),
        json={"model": "gemini-3-flash-preview", "messages": history, "tools": [tool]},
        headers=OPENAI.headers(key),
    )
    assert "get_weather said" in OPENAI.text(second.json())


def test_sigterm_lets_a_hundred_open_streams_finish(gateway, google):
    gateway.lend("gemini_api", "code_assist")
    google.script("slow", text=TEXT, count=8, interval_s=0.4)
    key = gateway.key()
    children = psutil.Process(gateway.serve.process.pid).children()

    async def one_stream(client, dialect):
        body, headers = dialect.body(stream=True), dialect.headers(key)
        async with client.stream(
            "POST", dialect.path(stream=True), json=body, headers=headers
        ) as response:
            assert response.status_code == 200
            events = events_of("".join([piece async for piece in response.aiter_text()]))
        assert dialect.stream_text(events) == TEXT
        assert len(dialect.finish_reasons(events)) == 1

    async def streams_and_a_signal():
        limits = httpx.Limits(max_connections=STREAMS)
        options = {"limits": limits, "trust_env": False, "verify": False, "timeout": 60}
        async with httpx.AsyncClient(base_url=gateway.url, **options) as client:
            streams = [
                asyncio.ensure_future(one_stream(client, (OPENAI, GEMINI)[number % 2]))
                for number in range(STREAMS)
            ]
            calls = await asyncio.to_thread(google.wait_for_calls, STREAMS, timeout_s=30)
            assert not any(call.finished for call in calls)
            os.kill(gateway.serve.process.pid, signal.SIGTERM)
            await asyncio.gather(*streams)

    try:
        asyncio.run(streams_and_a_signal())
        assert gateway.serve.process.wait(30) == 0
        assert not any(child.is_running() for child in children)
        assert gateway.hand("holds") == 0
        assert gateway.balance(key)["used"] == 2 * STREAMS
        assert gateway.hand("log_rows") >= STREAMS
        with client_of(gateway.url) as client, pytest.raises(httpx.ConnectError):
            client.get("/health")
    finally:
        gateway.restart()
