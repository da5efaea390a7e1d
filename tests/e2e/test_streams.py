"""Streams over real sockets: what the upstream does to them, what the client does, and what is charged for it."""

from __future__ import annotations

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

TEXT = "one two three four five six seven eight"


def streamed(http, dialect, key, text="hello", **options):
    """The events of a stream that began well, and its raw text."""
    response = ask(http, dialect, key, text, stream=True, **options)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return events_of(response.text), response.text


def in_band_error(events, dialect):
    """The error a stream ends with."""
    broken = [event for event in events if event != "[DONE]" and "error" in event]
    assert len(broken) == 1
    assert dialect.finish_reasons(events) == []
    return broken[0]["error"]


@both_dialects
@both_upstreams
@pytest.mark.parametrize("scenario", ["error_first", "error_first_bare"])
def test_an_error_inside_before_content_is_never_seen(
    gateway, google, http, provider, dialect, scenario
):
    first, second = gateway.lend(provider, provider)
    error = "quota_day" if provider == "gemini_api" else "ca_quota_daily"
    google.script(scenario, credential=first.name, error=error)
    key = gateway.key()
    events, _ = streamed(http, dialect, key)
    assert dialect.stream_text(events).endswith("You said: hello")
    assert google.calls(credential=second.name)
    assert gateway.balance(key)["used"] == 2
    eventually(
        lambda: (
            gateway.hand("states", ids=[first.id])[0]["models"].get(MODEL, [None])[0] == "exhausted"
        ),
        "the first credential rests",
    )


@both_dialects
@both_upstreams
@pytest.mark.parametrize("scenario", ["error_middle", "error_middle_bare"])
def test_an_error_inside_after_content_is_the_dialects_own_and_costs_nothing(
    gateway, google, http, provider, dialect, scenario
):
    gateway.lend(provider, provider)
    google.script(scenario, text=TEXT, count=4)
    key = gateway.key()
    events, text = streamed(http, dialect, key)
    assert dialect.stream_text(events) == TEXT[: len(TEXT) // 2]
    assert "req_" in in_band_error(events, dialect)["message"]
    assert len(google.calls()) == 1
    assert gateway.balance(key)["remaining"] == 1000


@both_dialects
@pytest.mark.parametrize("how", ["rst", "fin"])
def test_a_connection_cut_after_content(gateway, google, http, dialect, how):
    gateway.lend("gemini_api")
    google.script("reset_mid_stream", text=TEXT, count=4, reset_how=how)
    key = gateway.key()
    events, _ = streamed(http, dialect, key)
    assert TEXT.startswith(dialect.stream_text(events))
    assert "req_" in in_band_error(events, dialect)["message"]
    assert gateway.balance(key)["remaining"] == 1000


@only_sqlite
def test_a_broken_stream_costs_the_tokens_it_delivered(gateway, google, http):
    gateway.lend("gemini_api")
    gateway.set_price(
        "gemini-2.5-flash-lite", per_call_micros=5_000_000, output_micros_per_million=10**12
    )
    google.script("error_middle", text="abcd" * 8, count=4)
    key = gateway.key(100_000)
    streamed(http, OPENAI, key, model="gemini-2.5-flash-lite")
    # 16 of the 32 characters came, four to a token, a credit a token.
    assert gateway.balance(key)["used"] == 4
    google.clear_scripts()
    google.script("text", text="abcd" * 8, count=4)
    streamed(http, OPENAI, key, model="gemini-2.5-flash-lite")
    assert gateway.balance(key)["used"] == 4 + 5 + 8


@both_dialects
def test_an_empty_stream_is_asked_of_another(gateway, google, http, dialect):
    first, second = gateway.lend("gemini_api", "gemini_api")
    google.script("empty_stream", credential=first.name)
    key = gateway.key()
    events, _ = streamed(http, dialect, key)
    assert dialect.stream_text(events).endswith("You said: hello")
    assert gateway.balance(key)["used"] == 2
    google.script("empty_stream", credential=second.name)
    error_of(ask(http, dialect, key, stream=True), dialect, 502)
    assert gateway.balance(key)["used"] == 2


@both_dialects
def test_an_end_without_a_finish_reason_still_has_exactly_one(gateway, google, http, dialect):
    gateway.lend("gemini_api")
    google.script("no_finish", text=TEXT)
    events, _ = streamed(http, dialect, gateway.key())
    assert dialect.stream_text(events) == TEXT
    if dialect is OPENAI:
        assert len(dialect.finish_reasons(events)) == 1
        assert events[-1] == "[DONE]"


@pytest.mark.parametrize(
    "scenario",
    [
        "torn",
        "dribble",
        "separators",
        "crlf",
        "lf",
        "multiline_data",
        "comments",
        "event_lines",
        "no_space",
        "blank_lines",
        "unterminated",
        "gzip",
        "usage_last",
        "usage_never",
    ],
)
@both_dialects
@only_sqlite
def test_however_the_upstream_writes_it_the_text_is_whole(gateway, google, http, dialect, scenario):
    gateway.lend("gemini_api", "code_assist")
    options = {} if scenario in ("torn", "dribble", "separators") else {"text": "Grüße, 東京"}
    google.script(scenario, **options)
    said = {
        "torn": "Grüße aus 東京 🏔️ – ça va",
        "dribble": "Grüße aus 東京 🏔️ – ça va",
        "separators": "one\u2028two\u2029three\u0085four",
    }.get(scenario, "Grüße, 東京")
    key = gateway.key()
    for _ in range(2):
        events, _ = streamed(http, dialect, key)
        assert dialect.stream_text(events) == said
        assert len(dialect.finish_reasons(events)) == 1
    assert {call.path.split("/")[1] for call in google.calls()} == {
        "v1beta",
        "v1internal:streamGenerateContent",
    }


@both_dialects
@only_sqlite
def test_a_line_of_eight_megabytes(gateway, google, http, dialect):
    gateway.lend("gemini_api")
    google.script("huge_line")
    _, text = streamed(http, dialect, gateway.key(), model="gemini-2.5-flash-image")
    assert "A" * (8 * 1024 * 1024) in text


# ---------------------------------------------------------------------------- silence and pace


@both_dialects
@pytest.mark.parametrize("where", ["headers", "first", "middle"])
@only_sqlite
def test_a_silent_stream_is_kept_alive(gateway, google, http, dialect, where):
    gateway.lend("gemini_api")
    google.script("silence", silence_at=where, silence_s=4 * KEEPALIVE_S, text=TEXT)
    events, text = streamed(http, dialect, gateway.key())
    assert dialect.stream_text(events) == TEXT
    if dialect is OPENAI:
        assert text.count(": keep-alive\n\n") >= 2
    else:
        # What Google's SDK takes for nothing: blank lines.
        assert text.count("\n\n\n\n") or text.startswith("\n\n\n\n")
    assert len(dialect.finish_reasons(events)) == 1


@pytest.mark.parametrize("where", ["headers", "first", "middle"])
@only_sqlite
def test_both_sdks_read_over_keep_alives(gateway, google, chat, gemini, where):
    gateway.lend("gemini_api")
    google.script("silence", silence_at=where, silence_s=3 * KEEPALIVE_S, text=TEXT)
    messages = [{"role": "user", "content": "hello"}]
    chunks = chat.chat.completions.create(model=MODEL, messages=messages, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    chunks = gemini.models.generate_content_stream(model=MODEL, contents="hello")
    assert "".join(chunk.text or "" for chunk in chunks) == TEXT


@only_sqlite
def test_the_json_array_is_kept_alive_with_what_json_allows(gateway, google, http):
    gateway.lend("gemini_api")
    google.script("silence_mid", silence_s=3 * KEEPALIVE_S, text=TEXT)
    path = f"/v1beta/models/{MODEL}:streamGenerateContent"
    response = http.post(path, json=GEMINI.body(), headers=GEMINI.headers(gateway.key()))
    assert GEMINI.stream_text(response.json()) == TEXT


@only_sqlite
def test_an_error_after_a_keep_alive_is_put_into_the_stream(gateway, google, http):
    """The status has gone out by then."""
    gateway.lend("gemini_api")
    google.script("silence_headers", silence_s=2 * KEEPALIVE_S, reset_at="first")
    key = gateway.key()
    for dialect in (OPENAI, GEMINI):
        response = ask(http, dialect, key, stream=True)
        assert response.status_code == 200
        in_band_error(events_of(response.text), dialect)
    assert gateway.balance(key)["remaining"] == 1000


@both_dialects
@both_upstreams
def test_a_slow_stream_arrives_piece_by_piece(gateway, google, http, provider, dialect):
    gateway.lend(provider)
    google.script("slow", text=TEXT, count=8, interval_s=0.15)
    key = gateway.key()
    with http.stream(
        "POST",
        dialect.path(stream=True),
        json=dialect.body(stream=True),
        headers=dialect.headers(key),
    ) as response:
        pieces = response.iter_text()
        text = next(pieces)
        while not dialect.stream_text(events_of(text)):
            text += next(pieces)
        [call] = google.calls()
        assert not call.finished
        assert call.events_sent < 8
        text += "".join(pieces)
    assert dialect.stream_text(events_of(text)) == TEXT


@only_sqlite
def test_a_silent_upstream_is_given_up_for_another(gateway, google, http):
    first, second = gateway.lend("gemini_api", "gemini_api")
    google.script("silence_headers", credential=first.name, silence_s=4 * UPSTREAM_READ_TIMEOUT_S)
    key = gateway.key()
    response = ask(http, OPENAI, key)
    assert response.status_code == 200
    assert google.calls(credential=first.name)[0].disconnected
    assert (
        gateway.explained(response.headers["x-request-id"])["attempts"][0]["outcome"] == "timeout"
    )
    assert gateway.hand("states", ids=[first.id])[0]["state"] == "active"


# ---------------------------------------------------------------------------- the client leaves


def entry_of(gateway, key):
    """How the only call of a key was booked."""
    return eventually(
        lambda: [e for e in gateway.hand("entries", key=key) if e["kind"] != "grant"],
        "the call is closed",
    )[0]


@both_dialects
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("where", ["headers", "first"])
def test_a_client_that_leaves_before_content_pays_nothing(
    gateway, google, http, dialect, stream, where
):
    [lent] = gateway.lend("gemini_api")
    google.script("silence", silence_at=where, silence_s=UPSTREAM_READ_TIMEOUT_S)
    key = gateway.key()
    connection = raw.call(gateway.url, dialect, key, stream=stream)
    [call] = google.wait_for_calls(1)
    connection.close()
    google.wait_disconnected(call)
    entry = entry_of(gateway, key)
    assert (entry["kind"], entry["reserved_micros"]) == ("refund", 2_000_000)
    assert gateway.balance(key)["remaining"] == 1000
    explained = gateway.explained(entry["request_id"])
    assert (explained["status"], explained["error_code"]) == (499, "client_gone")
    assert gateway.hand("states", ids=[lent.id])[0]["state"] == "active"


@both_dialects
def test_a_client_that_leaves_after_content_pays(gateway, google, http, dialect):
    gateway.lend("gemini_api")
    google.script("silence_mid", text=TEXT, silence_s=UPSTREAM_READ_TIMEOUT_S)
    key = gateway.key()
    connection = raw.call(gateway.url, dialect, key, stream=True)
    raw.receive_until(connection, b"one")
    connection.close()
    google.wait_disconnected(google.calls()[0])
    entry = entry_of(gateway, key)
    assert (entry["kind"], entry["amount_micros"]) == ("settle", 2_000_000)


def test_the_openai_sdk_closes_a_stream(gateway, google, chat):
    gateway.lend("gemini_api")
    google.script("slow", text="word " * 400, count=200, interval_s=0.05)
    stream = chat.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "hello"}], stream=True
    )
    next(chunk for chunk in stream if chunk.choices[0].delta.content)
    stream.close()
    [call] = google.calls()
    google.wait_disconnected(call)
    assert call.events_sent < 200
    assert entry_of(gateway, chat.api_key)["kind"] == "settle"


def test_many_clients_leave_at_once(gateway, google):
    """Nothing stays behind: no reservation, no upstream connection, and the next call is served."""
    gateway.lend("gemini_api")
    google.script("silence", silence_s=UPSTREAM_READ_TIMEOUT_S, times=40)
    key = gateway.key()
    connections = [raw.call(gateway.url, OPENAI, key, stream=True) for _ in range(40)]
    calls = google.wait_for_calls(40, timeout_s=20)
    for connection in connections:
        connection.close()
    for call in calls:
        google.wait_disconnected(call, timeout_s=20)
    gateway.settled()
    assert gateway.balance(key)["remaining"] == 1000
    with raw.call(gateway.url, OPENAI, key, stream=True) as connection:
        assert raw.receive_until(connection, b"[DONE]").startswith(b"HTTP/1.1 200")
