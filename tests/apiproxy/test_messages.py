"""The Anthropic routes at the edge: whose shape an answer has, and the headers its clients look for."""

from __future__ import annotations

import pytest

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"


def body(**fields):
    messages = [{"role": "user", "content": "hello"}]
    return {"model": "gemini-2.5-flash", "max_tokens": 100, "messages": messages, **fields}


async def test_an_answer_carries_its_id_under_both_names(edge, lent, key):
    for fields in ({}, {"stream": True}):
        answer = await edge.post(MESSAGES, body(**fields), key=key.text, query="beta=true")
        assert answer.status == 200
        assert answer.headers["request-id"] == answer.headers["x-request-id"]
        assert answer.headers["request-id"].removeprefix("req_").encode() in answer.body
        log = await edge.log(answer)
        assert (log.dialect, log.cost_micros) == ("anthropic-messages", 2_000_000)


async def test_counting_costs_nothing_and_counts_tools(edge, fake, lent, key):
    plain = await edge.post(COUNT, body(), key=key.text)
    tools = [{"name": "get_weather", "description": "The weather of a city"}]
    more = await edge.post(COUNT, body(tools=tools, system="Be brief."), key=key.text)
    assert plain.json == {"input_tokens": 2}
    assert more.json["input_tokens"] > 10
    assert more.headers["request-id"] == more.headers["x-request-id"]
    assert len(fake.calls("count")) == 2
    assert await edge.receipt(more) is None


async def test_counting_a_history_for_a_model_that_insists_on_signatures(edge, fake, lent, key):
    call = {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {}}
    history = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1"}]},
    ]
    asked = body(model="gemini-3-flash-preview", messages=history)
    answer = await edge.post(COUNT, asked, key=key.text)
    assert (answer.status, answer.json["input_tokens"] > 2) == (200, True)


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "kind"),
    [
        ("POST", MESSAGES, b"{", 400, "invalid_request_error"),
        ("POST", MESSAGES, b'{"model": "no-such-model"}', 404, "not_found_error"),
        ("POST", COUNT, b'{"model": "gemini-2.5-flash"}', 400, "invalid_request_error"),
        ("GET", MESSAGES, b"", 405, "invalid_request_error"),
        ("POST", "/v1/messages/batches", b"{}", 404, "not_found_error"),
    ],
)
async def test_an_error_has_the_shape_of_the_path(edge, key, method, path, sent, status, kind):
    answer = await edge.exchange(method, path, key=key.text, body=sent).run()
    assert answer.status == status
    assert answer.json["type"] == "error"
    assert answer.json["error"]["type"] == kind
    assert answer.json["request_id"] == answer.headers["request-id"]


async def test_a_wrong_key_is_refused_in_shape(edge):
    answer = await edge.post(MESSAGES, body(), headers={"x-api-key": "sk-" + "a" * 48})
    assert (answer.status, answer.json["error"]["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstream_that_is_busy_has_the_status_of_its_own(edge, fake, lent, key, stream):
    fake.script("error", error="overload")
    answer = await edge.post(MESSAGES, body(stream=stream), key=key.text)
    assert (answer.status, answer.json["error"]["type"]) == (529, "overloaded_error")
    assert (await edge.log(answer)).status == 503
    assert (await edge.receipt(answer)).state == "refunded"


async def test_an_upstream_that_leaves_in_a_call_breaks_the_stream(edge, fake, lent, key):
    calls = [{"name": "get_weather", "args": {"city": "Bern"}}]
    fake.script("tool_call", calls=calls, finish=False)
    answer = await edge.post(MESSAGES, body(stream=True), key=key.text)
    assert b"message_stop" not in answer.body
    assert answer.body.rpartition(b"event: ")[2].startswith(b"error\n")
    whole = await edge.post(MESSAGES, body(), key=key.text)
    assert (whole.status, whole.json["error"]["type"]) == (502, "api_error")
    assert (await edge.receipt(whole)).state == "refunded"


@pytest.fixture
def impatient(settings):
    settings.KEEPALIVE_INTERVAL_S = 0.05


async def test_a_silent_stream_is_pinged(impatient, edge, fake, lent, key):
    fake.script("silence", silence_s=0.5)
    answer = await edge.post(MESSAGES, body(stream=True), key=key.text)
    assert answer.pieces[0] == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert answer.body.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


@pytest.mark.parametrize(
    ("headers", "query", "shape"),
    [
        ({"authorization": "Bearer {}", "anthropic-version": "2023-06-01"}, "", "anthropic"),
        ({"x-api-key": "{}"}, "", "anthropic"),
        ({"x-api-key": "{}", "x-goog-api-key": "{}"}, "", "gemini"),
        ({"anthropic-version": "2023-06-01"}, "key={}", "gemini"),
        ({"authorization": "Bearer {}"}, "", "openai"),
    ],
)
async def test_who_asks_for_the_models_decides_their_shape(edge, key, headers, query, shape):
    sent = {name: value.format(key.text) for name, value in headers.items()}
    options = {"headers": sent, "query": query.format(key.text)}
    listed = (await edge.get("/v1/models", **options)).json
    keys = {"anthropic": "first_id", "gemini": "models", "openai": "object"}
    assert [name for name, mark in keys.items() if mark in listed] == [shape]
    one = await edge.get("/v1/models/gemini-2.5-flash", **options)
    marks = {"anthropic": "lifecycle", "gemini": "supportedGenerationMethods", "openai": "owned_by"}
    assert [name for name, mark in marks.items() if mark in one.json] == [shape]
    assert ("request-id" in one.headers) is (shape == "anthropic")


async def test_the_models_come_in_pages(edge, key):
    sent = {"x-api-key": key.text}
    page = (await edge.get("/v1/models", headers=sent, query="limit=1")).json
    assert (len(page["data"]), page["has_more"]) == (1, True)
    after = f"limit=1&after_id={page['last_id']}"
    assert (await edge.get("/v1/models", headers=sent, query=after)).json["data"] != page["data"]
    bad = await edge.get("/v1/models", headers=sent, query="after_id=gone")
    assert (bad.status, bad.json["type"]) == (400, "error")
