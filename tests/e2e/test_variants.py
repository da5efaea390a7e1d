"""What a model's name says beside the model: over real sockets, in two dialects."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.e2e import raw
from tests.e2e.dialects import (
    GEMINI,
    MODEL,
    OPENAI,
    ask,
    both_dialects,
    both_upstreams,
    error_of,
    events_of,
    only_sqlite,
)
from tests.e2e.gateway import KEEPALIVE_S, UPSTREAM_READ_TIMEOUT_S
from tests.e2e.processes import eventually

THIRD_GENERATION = "gemini-3-flash-preview"
FAKE, UNCUT = "假流式/", "流式抗截断/"
LONG = "Grüße aus 東京! " * 12
MARK = r"\[\[END:\w+\]\]"
WEATHER = {"name": "get_weather", "description": "The weather of a city"}


def streamed(http, dialect, key, model, **options):
    """(events, text, response) of a stream that began well and has one end."""
    response = ask(http, dialect, key, model=model, stream=True, **options)
    assert response.status_code == 200, response.text
    events = events_of(response.text)
    assert len(dialect.finish_reasons(events)) == 1
    if dialect is OPENAI:
        assert events[-1] == "[DONE]"
        assert {event["model"] for event in events[:-1]} == {model}
    return events, dialect.stream_text(events), response


def sent(google, number=-1):
    """The Gemini request of a call to either upstream."""
    body = google.calls()[number].body
    return body.get("request", body)


def turns_sent(google, number):
    return [
        (turn["role"], "".join(part["text"] for part in turn["parts"]))
        for turn in sent(google, number)["contents"]
    ]


def used(gateway, key):
    gateway.settled()
    return gateway.balance(key)["used"]


# ---------------------------------------------------------------------------- fake streaming


@both_dialects
@both_upstreams
def test_a_fake_stream_is_made_of_a_whole_answer(gateway, google, http, provider, dialect):
    gateway.lend(provider)
    google.script("thoughts", text=LONG)
    key = gateway.key()
    events, text, _ = streamed(http, dialect, key, f"{FAKE}{MODEL}")
    assert text.endswith(LONG)
    assert len(events) > 5
    [call] = google.calls()
    assert not call.stream
    assert used(gateway, key) == 2


@both_dialects
@only_sqlite
def test_a_fake_stream_is_kept_alive_while_it_waits(gateway, google, http, dialect):
    gateway.lend("gemini_api")
    google.script("silence_headers", silence_s=4 * KEEPALIVE_S, text=LONG)
    _, text, response = streamed(http, dialect, gateway.key(), f"{FAKE}{MODEL}")
    assert text == LONG
    assert response.text.startswith("\n\n" if dialect is GEMINI else ": keep-alive\n\n")


@both_dialects
@only_sqlite
def test_a_fake_stream_that_fails_early_has_its_status(gateway, google, http, dialect):
    gateway.lend("gemini_api")
    google.script("error", error="overload")
    key = gateway.key()
    response = ask(http, dialect, key, model=f"{FAKE}{MODEL}", stream=True)
    error_of(response, dialect, 503)
    assert used(gateway, key) == 0


@only_sqlite
def test_a_fake_stream_brings_calls_whole(gateway, google, http):
    gateway.lend("gemini_api")
    google.script("parallel_calls", calls=[{"name": "get_weather", "args": {"city": LONG}}] * 2)
    key = gateway.key()
    tools = [{"type": "function", "function": WEATHER}]
    events, _, _ = streamed(http, OPENAI, key, f"{FAKE}{MODEL}", tools=tools)
    deltas = [
        call
        for event in events[:-1]
        for choice in event["choices"]
        for call in choice["delta"].get("tool_calls", [])
    ]
    assert [json.loads(call["function"]["arguments"]) for call in deltas] == [{"city": LONG}] * 2
    assert OPENAI.finish_reasons(events) == ["tool_calls"]
    native = [{"functionDeclarations": [WEATHER]}]
    events, _, _ = streamed(http, GEMINI, key, f"{FAKE}{MODEL}", tools=native)
    calls = [
        part["functionCall"]["args"]
        for event in events
        for part in event["candidates"][0]["content"]["parts"]
    ]
    assert calls == [{"city": LONG}] * 2


@only_sqlite
def test_nothing_is_lost_in_a_fake_stream(gateway, google, http):
    gateway.lend("gemini_api")
    google.script("grounding")
    key = gateway.key()
    name = f"{FAKE}{MODEL}-search"
    events, text, _ = streamed(http, OPENAI, key, name, stream_options={"include_usage": True})
    cited = next(
        choice["delta"]["annotations"]
        for event in events[:-1]
        for choice in event["choices"]
        if "annotations" in choice["delta"]
    )
    place = cited[1]["url_citation"]
    assert text[place["start_index"] : place["end_index"]].strip() == "東京は日本の首都です。"
    assert events[-2]["usage"]["completion_tokens"] > 0
    assert sent(google)["tools"] == [{"googleSearch": {}}]


@only_sqlite
def test_a_fake_stream_has_every_candidate_and_picture(gateway, google, http):
    gateway.lend("gemini_api")
    google.script("candidates", text=LONG, times=1)
    key = gateway.key()
    response = ask(http, OPENAI, key, model=f"{FAKE}{MODEL}", stream=True, n=2)
    events = events_of(response.text)[:-1]
    for index in (0, 1):
        pieces = [
            choice["delta"].get("content") or ""
            for event in events
            for choice in event["choices"]
            if choice["index"] == index
        ]
        assert "".join(pieces) == f"{LONG} ({index + 1})"
    _, text, _ = streamed(http, OPENAI, key, f"{FAKE}gemini-3.1-flash-image-2k")
    assert "](data:image/png;base64," in text
    assert sent(google)["generationConfig"]["imageConfig"] == {"imageSize": "2K"}


@only_sqlite
def test_a_fake_stream_as_a_json_array(gateway, google, http):
    gateway.lend("gemini_api")
    google.script("silence_headers", silence_s=2 * KEEPALIVE_S, text=LONG)
    path = f"/v1beta/models/{quote(FAKE)}{MODEL}:streamGenerateContent"
    response = http.post(path, json=GEMINI.body(), headers=GEMINI.headers(gateway.key()))
    assert GEMINI.stream_text(response.json()) == LONG


@both_dialects
@only_sqlite
def test_a_whole_answer_is_what_it_always_was(gateway, google, http, dialect):
    gateway.lend("gemini_api")
    key = gateway.key()
    for name in (f"{FAKE}{MODEL}", f"{UNCUT}{MODEL}"):
        answer = ask(http, dialect, key, model=name).json()
        assert dialect.text(answer) == "You said: hello"
        assert "systemInstruction" not in sent(google)
    assert used(gateway, key) == 4


@both_dialects
def test_a_client_that_leaves_a_fake_stream_closes_the_upstream(gateway, google, dialect):
    gateway.lend("gemini_api")
    google.script("silence", silence_s=UPSTREAM_READ_TIMEOUT_S)
    key = gateway.key()
    connection = raw.call(gateway.url, dialect, key, stream=True, model=quoted(dialect, FAKE))
    [call] = google.wait_for_calls(1)
    connection.close()
    google.wait_disconnected(call)
    assert used(gateway, key) == 0


def quoted(dialect, prefix):
    """For a request line that is written by hand."""
    return f"{quote(prefix) if dialect is GEMINI else prefix}{MODEL}"


# ---------------------------------------------------------------------------- anti-truncation


@both_dialects
@both_upstreams
def test_a_cut_answer_is_gone_on_with(gateway, google, http, provider, dialect):
    gateway.lend(provider)
    google.script("max_tokens", text="One two ", times=1)
    google.script("no_finish", text="three ", times=1)
    google.script("text", text="four.\n", quote=MARK, count=9)
    key = gateway.key()
    events, text, response = streamed(http, dialect, key, f"{UNCUT}{MODEL}")
    assert text == "One two three four."
    assert dialect.finish_reasons(events) == ["STOP" if dialect is GEMINI else "stop"]
    assert "END:" not in response.text
    assert turns_sent(google, 1) == [("user", "hello"), ("model", "One two ")]
    assert turns_sent(google, 2) == [("user", "hello"), ("model", "One two three ")]
    assert used(gateway, key) == 4
    explained = gateway.explained(response.headers["x-request-id"])
    assert [attempt["outcome"] for attempt in explained["attempts"]] == ["ok", "ok", "ok"]
    assert explained["model"] == MODEL
    assert explained["requested_model"] == f"{UNCUT}{MODEL}"


@both_dialects
@only_sqlite
def test_usage_is_the_sum_and_so_is_the_charge(gateway, google, http, dialect):
    gateway.lend("gemini_api")
    gateway.set_price(
        "gemini-2.5-flash-lite", per_call_micros=5_000_000, output_micros_per_million=10**12
    )
    google.script("max_tokens", text="abcd" * 8, times=1)
    google.script("text", text="efgh" * 4, quote=MARK)
    key = gateway.key(1_000_000)
    options = {"stream_options": {"include_usage": True}} if dialect is OPENAI else {}
    name = f"{UNCUT}gemini-2.5-flash-lite"
    events, text, _ = streamed(http, dialect, key, name, **options)
    assert text == "abcd" * 8 + "efgh" * 4
    if dialect is OPENAI:
        tokens = events[-2]["usage"]["completion_tokens"]
    else:
        tokens = events[-1]["usageMetadata"]["candidatesTokenCount"]
    # Four characters are a token; the mark, which no client sees, is written too.
    assert tokens > 8 + 4
    assert used(gateway, key) == 2 * (5 + tokens)


@only_sqlite
def test_the_third_generation_is_asked_to_go_on(gateway, google, http):
    gateway.lend("gemini_api")
    google.script("max_tokens", text="One ", times=1)
    google.script("text", text="two", quote=MARK)
    _, text, _ = streamed(http, OPENAI, gateway.key(), f"{UNCUT}{THIRD_GENERATION}")
    assert text == "One two"
    assert [role for role, _ in turns_sent(google, 1)] == ["user", "model", "user"]


@both_dialects
@only_sqlite
def test_a_broken_stream_is_gone_on_with(gateway, google, http, dialect):
    gateway.lend("gemini_api")
    google.script("reset_mid_stream", text="one two three four", count=4, times=1)
    google.script("text", text=" and on", quote=MARK)
    key = gateway.key()
    _, text, response = streamed(http, dialect, key, f"{UNCUT}{MODEL}")
    assert text.endswith(" and on")
    assert used(gateway, key) == 4
    explained = gateway.explained(response.headers["x-request-id"])
    assert [one["outcome"] for one in explained["attempts"]] == ["network", "ok"]
    assert explained["dropped"][0].startswith("anti-truncation, an attempt failed")


@both_dialects
@only_sqlite
def test_an_upstream_that_fails_later_leaves_a_cut_answer(gateway, google, http, dialect):
    gateway.lend("gemini_api")
    google.script("max_tokens", text="One two", times=1)
    google.script("error", error="overload")
    events, text, _ = streamed(http, dialect, gateway.key(), f"{UNCUT}{MODEL}")
    assert text == "One two"
    assert dialect.finish_reasons(events) == ["MAX_TOKENS" if dialect is GEMINI else "length"]


@both_dialects
@only_sqlite
def test_an_upstream_that_fails_at_once_is_an_error(gateway, google, http, dialect):
    gateway.lend("gemini_api")
    google.script("error", error="overload")
    key = gateway.key()
    response = ask(http, dialect, key, model=f"{UNCUT}{MODEL}", stream=True)
    error_of(response, dialect, 503)
    assert used(gateway, key) == 0


@only_sqlite
@pytest.mark.parametrize(
    ("scenario", "options", "reason"),
    [
        ("tool_call", {"text": "I look."}, "tool_calls"),
        ("finish", {"finish_reason": "SAFETY", "text": "I"}, "content_filter"),
        ("blocked_prompt", {}, "content_filter"),
        ("thoughts_only", {"finish_reason": "MAX_TOKENS"}, "length"),
    ],
)
def test_what_is_never_gone_on_with(gateway, google, http, scenario, options, reason):
    gateway.lend("gemini_api")
    google.script(scenario, **options)
    events, _, _ = streamed(http, OPENAI, gateway.key(), f"{UNCUT}{MODEL}")
    assert OPENAI.finish_reasons(events) == [reason]
    assert len(google.calls()) == 1


@only_sqlite
def test_json_mode_has_no_mark_and_the_usual_price(gateway, google, http):
    gateway.lend("gemini_api")
    key = gateway.key()
    options = {"response_format": {"type": "json_object"}}
    _, text, response = streamed(http, OPENAI, key, f"{UNCUT}{MODEL}", **options)
    assert json.loads(text)
    assert "systemInstruction" not in sent(google)
    assert used(gateway, key) == 2
    explained = gateway.explained(response.headers["x-request-id"])
    assert explained["dropped"] == ["anti-truncation: not with JSON mode"]


@both_dialects
@only_sqlite
def test_the_next_attempt_is_waited_for_with_keep_alives(gateway, google, http, dialect):
    gateway.lend("gemini_api")
    google.script("max_tokens", text="One ", times=1)
    google.script("silence_headers", silence_s=3 * KEEPALIVE_S, text="two", quote=MARK)
    _, text, response = streamed(http, dialect, gateway.key(), f"{UNCUT}{MODEL}")
    assert text == "One two"
    assert ("\n\n\n\n" if dialect is GEMINI else ": keep-alive\n\n") in response.text


@both_dialects
def test_a_client_that_leaves_between_attempts_closes_the_upstream(gateway, google, dialect):
    gateway.lend("gemini_api")
    google.script("max_tokens", text="One two", times=1)
    google.script("silence", silence_s=UPSTREAM_READ_TIMEOUT_S)
    key = gateway.key()
    connection = raw.call(gateway.url, dialect, key, stream=True, model=quoted(dialect, UNCUT))
    raw.receive_until(connection, b"two")
    calls = google.wait_for_calls(2)
    connection.close()
    google.wait_disconnected(calls[1])
    assert used(gateway, key) == 4


@both_dialects
@only_sqlite
def test_both_at_once(gateway, google, http, dialect):
    gateway.lend("gemini_api")
    google.script("max_tokens", text=LONG, times=1)
    google.script("text", text="The end.\n", quote=MARK)
    key = gateway.key()
    events, text, _ = streamed(http, dialect, key, f"{FAKE}{UNCUT}{MODEL}")
    assert text == f"{LONG}The end."
    assert [call.stream for call in google.calls()] == [False, False]
    assert used(gateway, key) == 4


# ---------------------------------------------------------------------------- thinking, search, sizes, names


@both_dialects
@both_upstreams
@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("gemini-2.5-pro-max", {"thinkingBudget": 32768, "includeThoughts": True}),
        ("gemini-2.5-flash(2000)", {"thinkingBudget": 2000, "includeThoughts": True}),
        ("gemini-2.5-flash-nothinking", {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini-3-flash-preview-low", {"thinkingLevel": "low", "includeThoughts": True}),
        ("gemini-3.1-pro-preview-nothinking", {"thinkingLevel": "low", "includeThoughts": False}),
    ],
)
@only_sqlite
def test_the_name_says_how_much_to_think(gateway, google, http, provider, dialect, name, config):
    gateway.lend(provider)
    key = gateway.key()
    streamed(http, dialect, key, name)
    assert sent(google)["generationConfig"]["thinkingConfig"] == config


@both_dialects
@both_upstreams
@only_sqlite
def test_the_name_says_search(gateway, google, http, provider, dialect):
    gateway.lend(provider)
    name = f"{MODEL}-high-search"
    streamed(http, dialect, gateway.key(), name)
    assert sent(google)["tools"] == [{"googleSearch": {}}]
    assert sent(google)["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 16000


@only_sqlite
def test_variants_are_listed_when_asked_for(gateway, http):
    key = gateway.key()
    name = f"{UNCUT}gemini-2.5-pro-high-search"
    headers = OPENAI.headers(key)
    plain = http.get("/v1/models", headers=headers).json()["data"]
    listed = http.get("/v1/models?variants=1", headers=headers).json()["data"]
    assert name in [entry["id"] for entry in listed]
    assert len(listed) > 5 * len(plain)
    assert http.get(f"/v1/models/{quote(name, safe='')}", headers=headers).json()["id"] == name
    headers = GEMINI.headers(key)
    listed = http.get("/v1beta/models?variants=1&pageSize=1000", headers=headers).json()["models"]
    entry = next(entry for entry in listed if entry["name"] == f"models/{name}")
    assert entry["baseModelId"] == "gemini-2.5-pro"
    assert http.get(f"/v1beta/models/{name}", headers=headers).json() == entry


@only_sqlite
def test_a_key_for_a_model_covers_its_variants(gateway, google, http):
    gateway.lend("gemini_api")
    key = gateway.key(allowed_models=[MODEL])
    assert ask(http, OPENAI, key, model=f"{MODEL}-low").status_code == 200
    assert ask(http, OPENAI, key, model="gemini-2.5-pro-low").status_code == 403
    response = ask(http, OPENAI, key, model="gpt-4o-low")
    assert response.status_code == 404
    explained = eventually(
        lambda: gateway.explained(response.headers["x-request-id"]), "the call is explained"
    )
    assert explained["status"] == 404
