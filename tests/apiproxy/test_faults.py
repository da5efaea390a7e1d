"""Wrong requests and broken answers in every dialect, through the edge: the dialect's own error, and nothing charged for it."""

from __future__ import annotations

import msgspec
import pytest
from asgiref.sync import sync_to_async

from apiproxy.selftest.clients import CLIENTS
from apiproxy.selftest.talk import Ask
from quotas.models import Balance
from tests.apiproxy.dialects.mutations import JUNK, mutated, paths_of

MODEL = "gemini-2.5-flash"
STREAMING = [name for name, client in CLIENTS.items() if "stream" in client.FEATURES]

CALL = {
    "name": "get_weather",
    "args": {"city": "Rome, and a street of a very long name"},
    "id": "c1",
}
CHUNKS = ["Let me look. ", [{"functionCall": CALL}]]
# Each goes through the whole gateway: fewer than what the dialects are tried with alone.
SENT_JUNK = ("null", "true", "huge", "empty text", "NUL", "text", "list in lists", "object of junk")
FAULTS = {
    "half a call": {"broken": True},
    "half a call and no more bytes": {"broken": True, "terminate": False},
    "a reset within the call": {"reset_at": "middle", "chunks": [*CHUNKS[:1], *CHUNKS]},
    "an end without the promised bytes": {"reset_at": "end", "reset_how": "fin", "broken": True},
    "an error instead of the call": {"error": "overload", "error_at": "middle"},
}


async def ask(edge, dialect, key, **options):
    sent = CLIENTS[dialect].ask(Ask(model=MODEL, text="Rome", tool=True, **options))
    return await edge.post(
        sent.path, sent.body, key=key.text, query=sent.query, headers=sent.headers
    )


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("dialect", STREAMING)
async def test_a_call_that_breaks_off_is_an_error_and_never_a_call(
    edge, fake, lent, key, dialect, fault
):
    fake.script("text", **{"chunks": CHUNKS, **FAULTS[fault]})
    answer = await ask(edge, dialect, key, stream=True)
    assert answer.status == 200
    assert answer.complete
    said = CLIENTS[dialect].read_stream(answer.body)
    assert said.text.startswith("Let me look.")
    assert said.failure
    assert (said.calls, said.endings) == ([], [])
    assert await edge.proves()


@pytest.mark.parametrize("dialect", STREAMING)
async def test_a_whole_call_that_breaks_off_is_an_error(edge, fake, lent, key, dialect):
    fake.script("text", times=9, chunks=CHUNKS, broken=True)
    answer = await ask(edge, dialect, key)
    assert answer.status in (502, 503, 529)
    CLIENTS[dialect].error_kind(answer.json, answer.status)
    balance = await sync_to_async(Balance.objects.get)(pk=key.balance_id)
    assert (balance.used_micros, balance.reserved_micros) == (0, 0)


def reaching(dialect):
    """Right requests; what parsing alone does not show is what is looked up, fetched, stored or counted on the way."""
    client = CLIENTS[dialect]
    chats = "chat" in client.FEATURES
    model = client.LENT_MODEL
    yield client.ask(Ask(model=model, tool=chats, draw=dialect == "openai-images", embed=not chats))
    sent = client.ask(Ask(model=model, text="Hi"))
    if dialect == "openai-responses":
        reference = {"type": "item_reference", "id": "msg_" + "0" * 28 + "_0"}
        say = {"role": "user", "content": "Hi"}
        known = {"input": [reference, say], "previous_response_id": "resp_" + "0" * 28}
        yield msgspec.structs.replace(sent, body={**sent.body, **known, "store": True})
    if dialect == "gemini":
        config = {"maxOutputTokens": 5, "candidateCount": 1, "imageConfig": {"imageSize": "2K"}}
        rest = {"generationConfig": config, "systemInstruction": {"parts": [{"text": "Be brief"}]}}
        yield msgspec.structs.replace(
            sent, body={**sent.body, **rest, "tools": [{"googleSearch": {}}]}
        )


@pytest.mark.parametrize("dialect", CLIENTS)
async def test_each_field_with_junk_gets_the_dialects_own_400(edge, fake, lent, key, dialect):
    client = CLIENTS[dialect]
    for sent in reaching(dialect):
        for path in paths_of(sent.body):
            for name in SENT_JUNK:
                body = mutated(sent.body, path, JUNK[name])
                answer = await edge.post(sent.path, body, key=key.text, headers=sent.headers)
                if answer.status == 200:
                    continue
                assert 400 <= answer.status < 500, (path, name, answer.body)
                kind, words = client.error_kind(answer.json, answer.status)
                assert kind == client.KINDS[answer.status], (path, name)
                assert answer.headers["x-request-id"] in words
    assert await edge.proves()


ODD_NAMES = ["\x00", "x" * 5000, "\u202e", "..", "resp_%00", "a b", "'; --", "résumé", "models/"]


@pytest.mark.parametrize(
    ("dialect", "method", "path"),
    [
        ("openai-chat", "GET", "/v1/responses/{}"),
        ("openai-chat", "DELETE", "/v1/responses/{}"),
        ("openai-chat", "GET", "/v1/responses/{}/input_items"),
        ("openai-chat", "POST", "/v1/responses/{}/cancel"),
        ("openai-chat", "GET", "/v1/models/{}"),
        ("gemini", "GET", "/v1beta/models/{}"),
        ("gemini", "POST", "/v1beta/models/{}:generateContent"),
        ("gemini", "POST", "/v1beta/models/gemini-2.5-flash:{}"),
    ],
)
async def test_names_in_the_path_that_are_none(edge, key, dialect, method, path):
    client = CLIENTS[dialect]
    for name in ODD_NAMES:
        answer = await edge.exchange(method, path.format(name), key=key.text, body={}).run()
        assert 400 <= answer.status < 500, (name, answer.status)
        assert client.error_kind(answer.json, answer.status)[0] == client.KINDS[answer.status]


@pytest.mark.parametrize(
    "query",
    [
        "after=%00",
        "limit=x",
        "limit=-1",
        "limit=" + "9" * 400,
        "order=up",
        "include=%ff",
        "&&&=",
        "starting_after=x",
    ],
)
@pytest.mark.parametrize(
    "path", ["/v1/responses/resp_x", "/v1/responses/resp_x/input_items", "/v1/models"]
)
async def test_odd_queries(edge, key, path, query):
    for headers in ({}, {"anthropic-version": "2023-06-01"}):
        answer = await edge.get(path, key=key.text, query=query, headers=headers)
        assert answer.status < 500, answer.body
