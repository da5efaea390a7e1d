"""Thought signatures that clients strip, on their way from one web process to another."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.e2e.dialects import OPENAI, ask, events_of, only_postgres
from tests.fakes.google_signatures import STAND_INS

MODEL = "gemini-3-flash-preview"
TOOLS = [
    {"type": "function", "function": {"name": "get_weather"}},
    {"type": "function", "function": {"name": "get_time"}},
]


@pytest.fixture
def lanes(gateway):
    """A client for each web process."""
    with ExitStack() as stack:
        yield [stack.enter_context(gateway.lane(pid)) for pid in gateway.web_pids()]


def stripped(calls):
    """As a client keeps them that knows OpenAI's fields only."""
    return [{name: call[name] for name in ("id", "type", "function")} for call in calls]


def second_turn(client, key, calls):
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny at noon"} for call in calls
    ]
    history = [
        {"role": "user", "content": "weather and time?"},
        {"role": "assistant", "content": None, "tool_calls": stripped(calls)},
        *results,
    ]
    return client.post(
        OPENAI.path(),
        json={"model": MODEL, "messages": history, "tools": TOOLS},
        headers=OPENAI.headers(key),
    )


def calls_of(client, key, google, *, stream):
    google.script("parallel_calls", times=1)
    answer = ask(client, OPENAI, key, stream=stream, model=MODEL, tools=TOOLS)
    assert answer.status_code == 200, answer.text
    if not stream:
        return answer.json()["choices"][0]["message"]["tool_calls"]
    deltas = [event["choices"][0]["delta"] for event in events_of(answer.text) if event != "[DONE]"]
    return [call for delta in deltas for call in delta.get("tool_calls", ())]


@only_postgres
@pytest.mark.parametrize("stream", [False, True])
def test_one_process_knows_the_signatures_of_the_other(gateway, google, lanes, stream):
    gateway.lend("gemini_api")
    key = gateway.key()
    google.signatures.takes_stand_ins = False
    one, other = lanes
    calls = calls_of(one, key, google, stream=stream)
    assert len(calls) >= 2
    answer = second_turn(other, key, calls)
    assert answer.status_code == 200, answer.text
    [first, *rest] = google.calls()[-1].body["contents"][1]["parts"]
    assert first["thoughtSignature"] not in STAND_INS
    assert google.signatures.accepts(first["thoughtSignature"], "gemini-3")
    assert not any("thoughtSignature" in part for part in rest)


@only_postgres
def test_another_clients_key_does_not_get_them(gateway, google, lanes):
    gateway.lend("gemini_api")
    calls = calls_of(lanes[0], gateway.key(), google, stream=False)
    answer = second_turn(lanes[1], gateway.key(), calls)
    assert answer.status_code == 200, answer.text
    first = google.calls()[-1].body["contents"][1]["parts"][0]
    assert first["thoughtSignature"] in STAND_INS
