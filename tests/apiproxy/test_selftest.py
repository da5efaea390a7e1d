"""The self-test: it passes here, leaves nothing behind, and sees what is wrong."""

from __future__ import annotations

import json
from io import StringIO

import msgspec
import pytest
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command
from django.test import AsyncClient

from accounts.models import ApiKey
from accounts.services import create_operator
from apiproxy.dialects import DIALECTS, openai_chat
from apiproxy.management.commands import selftest as command
from apiproxy.models import RequestLog, SelfTest
from apiproxy.selftest import journal
from apiproxy.selftest.cases import CASES
from apiproxy.selftest.clients import CLIENTS, anthropic_messages, gemini, openai_responses
from apiproxy.selftest.clients import openai_chat as chat_client
from apiproxy.selftest.edge import visit
from apiproxy.selftest.events import blocks_of
from apiproxy.selftest.run import GUEST, Result, run
from apiproxy.selftest.table import as_text, table_of
from apiproxy.selftest.talk import Ask, Wrong
from gateway.lib.errors import GatewayError
from quotas.models import Balance, Hold


@pytest.fixture
def quick(monkeypatch):
    """Two dialects, without the cases that wait."""
    few = {"openai-chat": chat_client, "gemini": gemini}
    monkeypatch.setattr("apiproxy.selftest.run.CLIENTS", few)
    monkeypatch.setattr("apiproxy.selftest.run.REFUSALS", ())
    monkeypatch.setattr("apiproxy.selftest.run.CASES", CASES[:2])


PASSED = Result("openai-chat", "answer", passed=True, detail="", ms=3)
FAILED = Result("gemini", "stream", passed=False, detail="the text came in one piece", ms=4)


def test_every_dialect_has_a_client():
    assert CLIENTS.keys() == DIALECTS.keys()


@pytest.mark.parametrize("dialect", ["openai-chat", "openai-responses", "gemini"])
def test_what_keeps_a_silent_stream_alive_is_no_event(dialect):
    client = CLIENTS[dialect]
    [filler] = client.KEEPALIVE
    event = b'data: {"a":1}\n\n'
    assert blocks_of(filler + event + filler + event, client.KEEPALIVE) == ['data: {"a":1}'] * 2


async def test_all_is_well_here(edge):
    results = await run(edge.runtime)
    assert [result for result in results if not result.passed] == []
    assert {result.dialect for result in results} == set(CLIENTS)
    shared = {"not JSON", "unknown model", "no key", "wrong method"}
    for dialect in CLIENTS:
        assert shared <= {result.case for result in results if result.dialect == dialect}

    # Rows are written in order: with this one all the others are there.
    await edge.log(await edge.chat("nobody"))
    assert await sync_to_async(ApiKey.objects.count)() == 0
    assert await sync_to_async(Balance.objects.count)() == 0
    assert await sync_to_async(Hold.objects.count)() == 0
    keys = await sync_to_async(lambda: set(RequestLog.objects.values_list("key_id", flat=True)))()
    assert keys == {GUEST.key_id, None}


async def test_the_guests_key_opens_nothing_afterwards(edge):
    with edge.runtime.admission.guest(GUEST) as key:
        assert (await edge.chat(key, model="sandbox-echo")).status == 200
        assert (await edge.chat(key)).status == 403
    assert (await edge.chat(key, model="sandbox-echo")).status == 401


async def test_a_dialect_that_breaks_is_told_by_name(edge, quick, monkeypatch):
    monkeypatch.setattr(openai_chat, "render", lambda call, replies: b'{"choices": []}')
    failed = [result for result in await run(edge.runtime) if not result.passed]
    assert [(result.dialect, result.case) for result in failed] == [("openai-chat", "answer")]
    assert failed[0].detail


async def test_hidden_thoughts_are_not_missed(edge, quick, monkeypatch):
    thinking = [case for case in CASES if case.needs == "thoughts"]
    monkeypatch.setattr("apiproxy.selftest.run.CASES", thinking)
    hidden = msgspec.structs.replace(edge.runtime.config, show_thoughts=False)
    monkeypatch.setattr(edge.runtime, "config", hidden)
    results = await run(edge.runtime)
    assert {result.case for result in results}.isdisjoint(case.name for case in thinking)
    assert all(result.passed for result in results)


async def test_the_button_of_the_system_page_runs_it(edge, quick):
    alice = await sync_to_async(create_operator)(username="alice", password="rather-long-words")
    client = AsyncClient()
    await client.aforce_login(alice)
    answer = await client.post("/system/selftest")
    assert (answer.status_code, answer.url) == (302, "/system")
    kept = await sync_to_async(journal.latest)()
    assert {result["dialect"] for result in kept.results} == {"openai-chat", "gemini"}
    assert all(result["passed"] for result in kept.results)


async def test_half_an_answer_is_none(monkeypatch):
    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})

    monkeypatch.setattr("apiproxy.asgi.application", half)
    with pytest.raises(Wrong):
        await visit("POST", "/v1/chat/completions", {}, b"{}")


# ------------------------------------------------------------------ what the clients do not take

CHUNK = (
    '{"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,'
    '"delta":{"content":"Hi"},"finish_reason":null}]}'
)


def events(*named):
    """Events with names, from their data."""
    parts = (f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in named)
    return "".join(parts).encode()


def numbered(*named):
    return events(*({**one, "sequence_number": n} for n, one in enumerate(named)))


MESSAGE = {"type": "message_start", "message": {}}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
RESPONSE = {"status": "completed", "object": "response", "id": "resp_1", "output": []}
RESPONSE |= {"usage": {"input_tokens": 1, "output_tokens": 0, "total_tokens": 1}}
CREATED = {"type": "response.created"}, {"type": "response.in_progress"}
COMPLETED = {"type": "response.completed", "response": RESPONSE}
ADDED = {"type": "response.output_item.added", "output_index": 0}

BROKEN = [
    (chat_client, f"data: {CHUNK}\n\n"),
    (chat_client, f"data: {CHUNK}\n\ndata: [DONE]"),
    (chat_client, f": comment\n\ndata: {CHUNK}\n\ndata: [DONE]\n\n"),
    (chat_client, f"data: {CHUNK}\r\n\r\ndata: [DONE]\n\n"),
    (chat_client, f"data: {CHUNK.replace('Hi', chr(0x2028))}\n\ndata: [DONE]\n\n"),
    (chat_client, f"data: {CHUNK[:-1]}\n\ndata: [DONE]\n\n"),
    (gemini, "data: [DONE]\n\n"),
    (gemini, 'event: x\ndata: {"candidates": []}\n\n'),
    (gemini, ": comment\n\n"),
    (anthropic_messages, events(TEXT, {"type": "message_stop"})),
    (anthropic_messages, events(MESSAGE, TEXT)),
    (anthropic_messages, events(MESSAGE, TEXT, TEXT, {"type": "message_stop"})),
    (anthropic_messages, events(MESSAGE, {**TEXT, "index": 1}, {"type": "message_stop"})),
    (anthropic_messages, b'event: ping\ndata: {"type":"message_start"}\n\n'),
    (openai_responses, events(*({**one, "sequence_number": 0} for one in (*CREATED, COMPLETED)))),
    (openai_responses, numbered(COMPLETED)),
    (openai_responses, numbered(*CREATED, ADDED, ADDED, COMPLETED)),
    (openai_responses, numbered(*CREATED, {"type": "response.output_text.delta"}, COMPLETED)),
    (openai_responses, numbered(*CREATED, COMPLETED, COMPLETED)),
    (openai_responses, numbered(*CREATED)),
]


@pytest.mark.parametrize(("client", "data"), BROKEN)
def test_a_stream_that_strict_clients_refuse_is_refused(client, data):
    with pytest.raises(Wrong):
        client.read_stream(data if isinstance(data, bytes) else data.encode())


def test_streams_that_are_right_are_read():
    stopped = {"type": "message_stop"}
    assert chat_client.read_stream(f"data: {CHUNK}\n\ndata: [DONE]\n\n".encode()).text == "Hi"
    assert anthropic_messages.read_stream(events(MESSAGE, stopped)).endings == []
    assert openai_responses.read_stream(numbered(*CREATED, COMPLETED)).endings == ["stop"]


@pytest.mark.parametrize("dialect", CLIENTS)
def test_an_error_of_another_shape_is_refused(dialect):
    client = CLIENTS[dialect]
    shown = json.loads(DIALECTS[dialect].render_error(GatewayError("oh"), "req_1"))
    client.error_kind(shown, 500)
    with pytest.raises((Wrong, LookupError)):
        client.error_kind({"detail": "oh", **shown} if dialect != "anthropic-messages" else {}, 500)


# ------------------------------------------------------------------ what is kept and shown


def shown(table):
    return [(group.title, [line.case for line in group.lines]) for group in table.groups]


def test_the_table_has_a_column_for_each_dialect_and_names_what_failed():
    results = [
        {"dialect": r.dialect, "case": r.case, "passed": r.passed, "detail": r.detail, "ms": 1}
        for r in (FAILED, PASSED)
    ]
    table = table_of(results)
    assert table.dialects == ["gemini", "openai-chat"]
    assert shown(table) == [("Answers", ["answer", "stream"])]
    assert as_text(table).splitlines() == [
        "        gemini  openai-chat",
        "answer  –       ✓",
        "stream  ✗       –",
        "gemini, stream: the text came in one piece",
    ]


def test_a_stored_case_that_is_no_more_comes_last():
    rows = [
        {"dialect": "gemini", "case": name, "passed": True, "detail": "", "ms": 1}
        for name in ("of another version", "answer")
    ]
    assert shown(table_of(rows)) == [("Answers", ["answer"]), ("Others", ["of another version"])]


def test_only_the_newest_runs_are_kept(db):
    for number in range(23):
        journal.keep(results=[PASSED], duration_ms=number)
    assert SelfTest.objects.count() == 20
    assert journal.latest().duration_ms == 22
    assert journal.latest().results == [
        {"dialect": "openai-chat", "case": "answer", "passed": True, "detail": "", "ms": 3}
    ]


def test_the_command_fails_when_a_case_does(db, monkeypatch):
    async def results():
        return [PASSED, FAILED]

    monkeypatch.setattr(command, "_run", results)
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 2"):
        call_command("selftest", stdout=out)
    assert "gemini, stream: the text came in one piece" in out.getvalue()
    assert SelfTest.objects.get().results[1]["passed"] is False


def test_the_command_that_finds_nothing_to_test_fails(db, monkeypatch):
    async def nothing():
        return []

    monkeypatch.setattr(command, "_run", nothing)
    with pytest.raises(CommandError):
        call_command("selftest", stdout=StringIO())


@pytest.mark.parametrize("wanted", ["as JSON", "as a table"])
def test_the_command_runs_by_itself(database, quick, wanted):
    out = StringIO()
    call_command("selftest", *(["--json"] if wanted == "as JSON" else []), stdout=out)
    if wanted == "as JSON":
        facts = json.loads(out.getvalue())
        assert facts["ok"]
        assert facts["results"] == SelfTest.objects.get().results
    else:
        assert "keep-alive         ✓            ✓" in out.getvalue()
    assert SelfTest.objects.get().results


def test_a_question_is_asked_of_the_model_it_names():
    """Each client passes on what the case asks for."""
    ask = Ask(model="sandbox-tools", text="Rome", system="Be brief.", tool=True, max_tokens=8)
    for client in CLIENTS.values():
        if "tools" in client.FEATURES:
            sent = client.ask(ask)
            told = json.dumps(sent.body) + sent.path
            assert all(
                words in told for words in ("sandbox-tools", "Rome", "Be brief.", "get_weather")
            )
