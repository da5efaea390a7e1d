"""Framing, pace and failures on the way to the client."""

import json
import socket
import time

import httpx
import pytest

from tests.fakes.conftest import KEY, events, said, text_of


def raw_stream(caller, **options):
    return caller.send(said("hello"), stream=True, **options)


@pytest.mark.parametrize(
    ("scenario", "newline"), [("text", b"\r\n"), ("crlf", b"\r\n"), ("lf", b"\n")]
)
def test_line_ends(fake, caller, scenario, newline):
    fake.script(scenario)
    response = raw_stream(caller)
    assert response.headers["content-type"] == "text/event-stream"
    assert response.content.count(newline * 2) == 3
    assert (b"\r" in response.content) == (newline == b"\r\n")
    assert b"[DONE]" not in response.content


def test_without_alt_sse_the_stream_is_one_json_list(caller):
    response = caller.send(said("hello"), stream=True, sse=False)
    assert response.headers["content-type"].startswith("application/json")
    assert text_of([caller.unwrap(item) for item in response.json()]) == "You said: hello"


@pytest.mark.parametrize("scenario", ["multiline_data", "comments", "event_lines", "no_space"])
def test_odd_but_legal_framing(fake, gemini, scenario):
    fake.script(scenario)
    raw = raw_stream(gemini).content
    assert text_of(events(raw)) == "You said: hello"
    mark = {
        "multiline_data": b'data: {\r\ndata:   "candidates"',
        "comments": b": still here\r\n\r\n",
        "event_lines": b"id: 0\r\nevent: message\r\ndata: ",
        "no_space": b'data:{"',
    }
    assert mark[scenario] in raw


def test_a_last_event_may_lack_its_end(fake, gemini):
    fake.script("unterminated")
    assert raw_stream(gemini).content.endswith(b"}")


def test_a_stream_may_end_without_a_finish_reason(fake, caller):
    fake.script("no_finish")
    chunks = caller.chunks()
    assert text_of(chunks) == "You said: hello"
    assert not any("finishReason" in chunk["candidates"][0] for chunk in chunks)


def test_a_stream_may_be_empty(fake, caller):
    fake.script("empty_stream")
    response = raw_stream(caller)
    assert (response.status_code, response.content) == (200, b"")


def test_separators_stand_raw_in_the_json(fake, caller):
    fake.script("separators")
    raw = raw_stream(caller).content
    for mark in "\u2028\u2029\u0085":
        assert mark.encode() in raw
    assert text_of([caller.unwrap(e) for e in events(raw)]) == "one\u2028two\u2029three\u0085four"


def test_a_multi_byte_character_is_torn_over_two_writes(fake, gemini):
    fake.script("torn", text="東京", count=1)
    response = gemini.http.send(gemini.request(said("hello"), stream=True), stream=True)
    pieces = list(response.iter_raw())
    with pytest.raises(UnicodeDecodeError):
        pieces[0].decode()
    assert text_of(events(b"".join(pieces))) == "東京"


def test_one_line_of_eight_megabytes(fake, gemini):
    fake.script("huge_line")
    raw = raw_stream(gemini).content
    assert max(len(line) for line in raw.split(b"\r\n")) > 8_000_000


@pytest.mark.parametrize("stream", [True, False])
def test_gzip_only_when_accepted(fake, caller, stream):
    fake.script("gzip")
    packed = caller.say(stream=stream)
    assert packed.headers["content-encoding"] == "gzip"
    assert "You " in packed.text
    plain = caller.http.send(
        caller.request(said("hello"), stream=stream, **{"accept-encoding": "identity"})
    )
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize("sse", [True, False])
def test_an_error_inside_a_stream_of_status_200(fake, caller, sse):
    fake.script("error_first", error="ca_rate_short", times=1)
    fake.script("error_middle", error="ca_rate_short", times=1)
    for before in (0, 1):
        response = caller.send(said("hello"), stream=True, sse=sse)
        assert response.status_code == 200
        found = events(response.content) if sse else response.json()
        assert len(found) == before + 1
        assert found[-1]["error"]["status"] == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("scenario", ["error_first_bare", "error_middle_bare"])
def test_the_error_may_be_bare_and_pretty_printed(fake, gemini, scenario):
    fake.script(scenario)
    raw = raw_stream(gemini).content
    start = raw.index(b'{\r\n  "error"')
    assert json.loads(raw[start:])["error"]["code"] == 503
    assert (start == 0) == (scenario == "error_first_bare")


def test_reset_before_headers(fake, caller):
    fake.script("reset_before_headers")
    for stream in (True, False):
        with pytest.raises(httpx.TransportError):
            caller.say(stream=stream)
    assert not any(record.disconnected for record in fake.calls())


def test_reset_in_the_middle_keeps_what_was_sent(fake, gemini):
    fake.script("reset_mid_stream")
    got = []
    request = gemini.request(said("hello"), stream=True)
    response = gemini.http.send(request, stream=True)
    with pytest.raises(httpx.TransportError):
        got += response.iter_raw()
    assert text_of(events(b"".join(got) + b"\n\n")).startswith("You ")


def test_broken_json_is_not_parseable(fake, gemini):
    fake.script("broken_json")
    with pytest.raises(json.JSONDecodeError):
        events(raw_stream(gemini).content)


def test_slow_paces_its_chunks(fake, gemini):
    fake.script("slow", count=4, interval_s=0.05)
    started = time.monotonic()
    assert len(gemini.chunks(said("a longer text"))) == 4
    assert time.monotonic() - started >= 0.15


@pytest.mark.parametrize("scenario", ["silence_headers", "silence", "silence_mid"])
def test_silence_and_how_fast_the_fake_sees_the_client_leave(fake, caller, scenario):
    fake.script(scenario)
    with pytest.raises(httpx.ReadTimeout):
        caller.say(stream=True, timeout=0.1)
    record = fake.calls()[0]
    at = fake.wait_disconnected(record, timeout_s=1)
    assert record.disconnected
    assert not record.finished
    assert at - record.when < 2
    assert record.events_sent == (1 if scenario == "silence_mid" else 0)


def test_a_client_that_leaves_during_a_huge_answer_is_seen(fake):
    fake.script("huge_line")
    address = fake.url.removeprefix("http://").split(":")
    body = json.dumps(said("hello")).encode()
    head = (
        "POST /v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse HTTP/1.1\r\nHost: x\r\n"
        f"x-goog-api-key: {KEY}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((address[0], int(address[1]))) as connection:
        connection.sendall(head.encode() + body)
        connection.recv(100)
    record = fake.calls()[0]
    assert fake.wait_disconnected(record, timeout_s=2)


def test_an_answer_taken_whole_is_not_a_disconnect(fake, caller):
    caller.chunks()
    record = fake.wait_until(lambda: [r for r in fake.calls() if r.finished])[0]
    assert not record.disconnected
    assert record.events_sent == 3
