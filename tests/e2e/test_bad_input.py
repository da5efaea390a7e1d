"""Whatever a client sends: the dialect's own error, with the request id, and nothing reserved or left behind."""

from __future__ import annotations

import json
import socket

import pytest

from tests.e2e import raw
from tests.e2e.dialects import (
    GEMINI,
    MODEL,
    OPENAI,
    ask,
    both_dialects,
    error_of,
    only_sqlite,
)
from tests.e2e.gateway import MAX_BODY_BYTES
from tests.e2e.surfaces import every_surface

DEPTH = 500_000
BAD_BODIES = {
    "nothing": b"",
    "half an object": b"{",
    "text": b"not json",
    "a hole": b'{"model": "gemini-2.5-flash", "messages": [}',
    "broken UTF-8": b'{"a": "\xff\xfe"}',
    "half a character": b'{"a": "\xf0\x9f\x98"}',
    "UTF-16": '{"a": "b"}'.encode("utf-16"),
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": Infinity}',
    "two values": b'{"a": 1} {"b": 2}',
    "a lone surrogate": b'{"a": "\\ud800"}',
    "a lone surrogate as a name": b'{"\\udc00": 1}',
    "a raw NUL": b'{"a": "\x00"}',
    "NUL after the object": b'{"a": 1}\x00',
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "a list": b"[]",
    "a string": b'"text"',
    "a number": b"17",
    "null": b"null",
    "1 MB of lists": b"[" * DEPTH + b"]" * DEPTH,
    "1 MB of lists without an end": b"[" * 2 * DEPTH,
    "1 MB of objects": b'{"a":' * (2 * DEPTH // 6) + b"1" + b"}" * (2 * DEPTH // 6),
    "lists in a field": b'{"model": "x", "metadata": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    "a form": b"model=gemini-2.5-flash&prompt=hello",
}


@pytest.fixture
def post(gateway, http):
    """Posts bytes as a call of a dialect, with a good key of which nothing may be taken."""
    key = gateway.key(10)
    gateway.lend("gemini_api")

    def send(dialect, body, *, stream=False, **headers):
        sent = {"content-type": "application/json", **dialect.headers(key), **headers}
        return http.post(dialect.path(stream=stream), content=body, headers=sent)

    yield send
    assert gateway.balance(key)["remaining"] == 10
    assert gateway.google.calls() == []


@every_surface
@only_sqlite
def test_what_is_no_json_object(gateway, http, surface):
    key = gateway.key(10)
    [lent] = gateway.lend("gemini_api")
    for name, body in BAD_BODIES.items():
        refused(post_raw(http, surface, key, body), surface, name)
    assert gateway.balance(key)["remaining"] == 10
    assert gateway.google.calls() == []
    assert gateway.hand("states", ids=[lent.id])[0]["state"] == "active"


def spoilt(body, **fields):
    return json.dumps({**body, **fields}).encode()


ODD_BODIES = {
    "NUL in a name": lambda body: spoilt(body, **{"odd\x00name": "odd\x00value"}),
    "a number beyond every type": lambda body: (
        spoilt(body)[:-1] + b', "odd": 1' + b"0" * 400 + b"}"
    ),
    "an exponent beyond every type": lambda body: spoilt(body)[:-1] + b', "odd": 1e999}',
    "a name that comes twice": lambda body: spoilt(body)[:-1] + b', "odd": 1, "odd": [2]}',
    "joiners and line ends": lambda body: spoilt(body, odd="\u202e\u200d\ufeff\u2028\x85"),
    "every field twice": lambda body: spoilt(body)[:-1] + b", " + spoilt(body)[1:],
    "every field null": lambda body: spoilt(dict.fromkeys(body)),
    "every field a number": lambda body: spoilt(dict.fromkeys(body, 7)),
    "every field a list": lambda body: spoilt(dict.fromkeys(body, [])),
    "every field NUL": lambda body: spoilt(dict.fromkeys(body, "\x00")),
    "every field a megabyte": lambda body: spoilt(dict.fromkeys(body, "x" * 1_000_000)),
    "every field 10^40": lambda body: spoilt(dict.fromkeys(body, 10**40)),
}


@every_surface
@only_sqlite
def test_an_odd_body_is_served_or_refused_and_never_breaks(gateway, http, surface):
    key = gateway.key(1000)
    [lent] = gateway.lend("gemini_api")
    for name, spoil in ODD_BODIES.items():
        response = post_raw(http, surface, key, spoil(surface.body))
        if response.status_code != 200:
            refused(response, surface, name)
    assert gateway.hand("states", ids=[lent.id])[0]["state"] == "active"


FORMS = (
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "multipart/form-data; boundary=\x80",
    "multipart/form-data; boundary*=nonsense''x",
)


@every_surface
@only_sqlite
def test_a_form_that_is_none(gateway, http, surface):
    key = gateway.key(10)
    for kind in FORMS:
        for body in (b"", b"--x", b"--x\r\n\r\n--x--", b"\xff" * 1000, spoilt(surface.body)[:-1]):
            refused(post_raw(http, surface, key, body, kind), surface, kind)
    assert gateway.balance(key)["remaining"] == 10


def post_raw(http, surface, key, body, kind="application/json"):
    headers = {"authorization": f"Bearer {key}".encode(), "content-type": kind.encode("latin-1")}
    return http.post(surface.path, content=body, headers=headers)


def refused(response, surface, name):
    assert 400 <= response.status_code < 500, (
        f"{name}: {response.status_code} {response.text[:300]}"
    )
    assert response.headers["content-type"].startswith("application/json"), name
    words = surface.check_error(response.json(), response.status_code)
    assert response.headers["x-request-id"] in words, name


WRONG_OPENAI = {
    "model": {"model": 7},
    "messages": {"messages": "hello"},
    "messages[0]": {"messages": ["hello"]},
    "messages[0].role": {"messages": [{"role": "wizard", "content": "hello"}]},
    "messages[0].content": {"messages": [{"role": "user", "content": 7}]},
    "stream": {"stream": "yes"},
    "temperature": {"temperature": "hot"},
    "max_tokens": {"max_tokens": "many"},
    "n": {"n": 0},
    "stop": {"stop": {"a": 1}},
    "tools": {"tools": {"type": "function"}},
    "tools[0].function": {"tools": [{"type": "function"}]},
    "tool_choice": {"tool_choice": "perhaps"},
    "response_format": {"response_format": "json"},
    "reasoning_effort": {"reasoning_effort": "enormous"},
    "stream_options": {"stream": True, "stream_options": 1},
}


@only_sqlite
@pytest.mark.parametrize("field", WRONG_OPENAI)
def test_a_wrong_type_is_named(post, field):
    body = OPENAI.body() | WRONG_OPENAI[field]
    error = error_of(post(OPENAI, json.dumps(body).encode()), OPENAI, 400)
    assert (error["param"] or "").startswith(field), error
    assert error["type"] == "invalid_request_error"


@only_sqlite
@pytest.mark.parametrize(
    "body",
    [{"contents": "hello"}, {"contents": 7}, {"contents": []}, {}, {"contents": [{"parts": []}]}],
)
def test_gemini_contents_that_are_none(gateway, http, google, body):
    """What we do not refuse ourselves the upstream does; nothing is charged and no credential is blamed."""
    [lent] = gateway.lend("gemini_api")
    key = gateway.key(10)
    response = http.post(GEMINI.path(), json=body, headers=GEMINI.headers(key))
    error_of(response, GEMINI, 400)
    assert gateway.balance(key)["remaining"] == 10
    assert gateway.hand("states", ids=[lent.id])[0]["state"] == "active"


@only_sqlite
@pytest.mark.parametrize("missing", ["model", "messages"])
def test_a_missing_field_is_named(post, missing):
    body = OPENAI.body()
    del body[missing]
    error = error_of(post(OPENAI, json.dumps(body).encode()), OPENAI, 400)
    assert error["param"] == missing


@only_sqlite
def test_empty_messages(post):
    body = json.dumps(OPENAI.body() | {"messages": []}).encode()
    assert error_of(post(OPENAI, body), OPENAI, 400)["param"] == "messages"


@both_dialects
def test_a_body_that_is_too_large(gateway, post, dialect):
    body = b'{"filler": "' + b"x" * MAX_BODY_BYTES + b'"}'
    error = error_of(post(dialect, body), dialect, 413)
    assert f"{MAX_BODY_BYTES:,}" in error["message"]


@both_dialects
def test_a_body_without_a_length_that_is_too_large(post, dialect):
    error_of(post(dialect, iter([b" " * 65536] * (MAX_BODY_BYTES // 65536 + 1))), dialect, 413)


@both_dialects
def test_a_body_in_chunks_is_as_good_as_any(gateway, http, dialect):
    gateway.lend("gemini_api")
    body = json.dumps(dialect.body()).encode()
    pieces = iter([body[:10], body[10:]])
    headers = {"content-type": "application/json", **dialect.headers(gateway.key())}
    response = http.post(dialect.path(), content=pieces, headers=headers)
    assert response.status_code == 200


@both_dialects
@only_sqlite
def test_a_declared_length_over_the_limit_is_refused_before_the_body_comes(gateway, dialect):
    with raw.connect(gateway.url) as connection:
        connection.sendall(raw.head(dialect, gateway.key(10), 10**12))
        assert b" 413 " in raw.receive_until(connection, b"\r\n\r\n")


@both_dialects
@pytest.mark.parametrize("model", ["gpt-unknown", "nobody/knows it", "x" * 500])
@only_sqlite
def test_an_unknown_model(gateway, http, dialect, model):
    key = gateway.key(10)
    response = ask(http, dialect, key, model=model)
    assert response.status_code in (400, 404)
    dialect.check_error(response.json(), response.status_code)
    assert response.headers["x-request-id"] in response.text
    assert gateway.balance(key)["remaining"] == 10


# ---------------------------------------------------------------------------- keys


PLACES = {
    "bearer": lambda key: {"headers": {"authorization": f"Bearer {key}"}},
    "x-goog-api-key": lambda key: {"headers": {"x-goog-api-key": key}},
    "x-api-key": lambda key: {"headers": {"x-api-key": key}},
    "query": lambda key: {"params": {"key": key}},
}
in_every_place = pytest.mark.parametrize("place", PLACES)


@in_every_place
@both_dialects
def test_a_key_is_taken_in_each_place(gateway, http, dialect, place):
    gateway.lend("gemini_api")
    key = gateway.key()
    response = http.post(dialect.path(), json=dialect.body(), **PLACES[place](key))
    assert response.status_code == 200
    assert key not in gateway.log.read_text()


@in_every_place
@both_dialects
@only_sqlite
@pytest.mark.parametrize("kind", ["wrong secret", "unknown", "revoked", "expired", "no key at all"])
def test_a_bad_key_is_refused_in_each_place(gateway, http, dialect, place, kind):
    key = gateway.key()
    if kind in ("revoked", "expired"):
        gateway.hand({"revoked": "revoke", "expired": "expire"}[kind], key=key)
    presented = {
        "wrong secret": key[:-4] + ("aaaa" if not key.endswith("aaaa") else "bbbb"),
        "unknown": "sk-" + "a" * 48,
        "no key at all": "banana",
    }.get(kind, key)
    response = http.post(dialect.path(), json=dialect.body(), **PLACES[place](presented))
    error = error_of(response, dialect, 401)
    assert presented not in error["message"]
    assert response.headers["www-authenticate"] == "Bearer"
    assert presented not in gateway.log.read_text()


@both_dialects
def test_no_key(gateway, http, dialect):
    error = error_of(http.post(dialect.path(), json=dialect.body()), dialect, 401)
    assert "Authorization: Bearer" in error["message"]


@only_sqlite
@pytest.mark.parametrize("value", [b"Bearer \xff\xfe", b"Basic c2s6YQ==", b"Bearer"])
def test_an_authorization_header_that_is_none(gateway, http, value):
    response = http.post(OPENAI.path(), json=OPENAI.body(), headers=[(b"authorization", value)])
    error_of(response, OPENAI, 401)


# ---------------------------------------------------------------------------- routes


@only_sqlite
@pytest.mark.parametrize(
    ("method", "path", "dialect", "status"),
    [
        ("POST", "/v1/nothing", OPENAI, 404),
        ("GET", "/v1/chat/completions", OPENAI, 405),
        ("DELETE", "/v1/models", OPENAI, 405),
        ("GET", "/v1/models/no-such-model", OPENAI, 404),
        ("POST", "/v1beta/nothing", GEMINI, 404),
        ("POST", f"/v1beta/models/{MODEL}:fly", GEMINI, 404),
        ("POST", f"/v1/models/{MODEL}:fly", GEMINI, 404),
        ("PUT", f"/v1beta/models/{MODEL}", GEMINI, 405),
        ("POST", f"/v1beta/models/{MODEL}", GEMINI, 405),
        ("GET", "/gemini/v1beta/models/no-such-model", GEMINI, 404),
    ],
)
def test_an_unknown_route_or_method(gateway, http, method, path, dialect, status):
    key = gateway.key()
    response = http.request(method, path, headers={"authorization": f"Bearer {key}"})
    error_of(response, dialect, status)


def test_a_browser_may_ask_first(gateway, http):
    response = http.options("/v1/chat/completions", headers={"origin": "https://chat.example"})
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"


# ---------------------------------------------------------------------------- half requests


@both_dialects
def test_half_a_body_and_gone(gateway, http, dialect):
    key = gateway.key()
    gateway.lend("gemini_api")
    for _ in range(20):
        with raw.connect(gateway.url) as connection:
            connection.sendall(raw.head(dialect, key, 1000) + b'{"model": ')
    for _ in range(20):
        with raw.connect(gateway.url) as connection:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: ga")
    assert ask(http, dialect, key).status_code == 200
    gateway.settled()
    assert gateway.balance(key)["used"] == 2
    assert len(gateway.google.calls()) == 1


@both_dialects
def test_bodies_that_trickle_in_do_not_hold_up_others(gateway, http, dialect):
    gateway.lend("gemini_api")
    key = gateway.key()
    body = json.dumps(dialect.body("slowly")).encode()
    slow = [raw.connect(gateway.url) for _ in range(50)]
    for connection in slow:
        connection.sendall(raw.head(dialect, key, len(body)) + body[:1])
    for _ in range(5):
        assert ask(http, dialect, key).status_code == 200
    assert gateway.hand("holds") == 0
    for place in range(1, len(body)):
        slow[0].sendall(body[place : place + 1])
    assert b" 200 " in raw.receive_until(slow[0], b"slowly")
    for connection in slow:
        connection.close()
    assert ask(http, dialect, key).status_code == 200


@only_sqlite
def test_a_head_without_end_is_refused(gateway, http):
    with raw.connect(gateway.url) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: gateway\r\nx-long: ")
        with pytest.raises(ConnectionError):
            connection.sendall(b"a" * (32 * 1024 * 1024))
    assert http.get("/health").status_code == 200


@only_sqlite
def test_what_is_no_http(gateway, http):
    with raw.connect(gateway.url) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    gateway.lend("gemini_api")
    assert ask(http, OPENAI, gateway.key()).status_code == 200
