"""Every provider through one set of recorded cases. A new provider needs a line in `UPSTREAMS` and passes, or is wrong."""

import json

import pytest

from apiproxy.providers import PROVIDERS
from apiproxy.wire import codec
from apiproxy.wire.types import Action, Fault
from tests.apiproxy.providers.cases import ERROR, REPLIES
from tests.apiproxy.providers.helpers import CREDENTIAL, ENDPOINTS, answer, drive, make_call


def in_envelope(reply):
    return {"response": reply, "traceId": "0123abcd", "remainingCredits": []}


def bare(reply):
    return reply


UPSTREAMS = {"gemini_api": bare, "code_assist": in_envelope, "sandbox": bare}


@pytest.fixture(params=PROVIDERS)
def name(request):
    return request.param


@pytest.fixture
def provider(name):
    return PROVIDERS[name]


@pytest.fixture
def wrapped(name):
    return UPSTREAMS[name]


def dumps(value, indent=None):
    return json.dumps(value, ensure_ascii=False, indent=indent)


def usual(replies, newline="\n"):
    return "".join(f"data: {dumps(one)}{newline}{newline}" for one in replies)


def over_many_lines(replies):
    events = ("\n".join("data: " + line for line in dumps(one, 1).split("\n")) for one in replies)
    return "".join(event + "\n\n" for event in events)


def among_noise(replies):
    return ": hello\n\n\r\n" + "".join(
        f"event: message\nid: 1\ndata:{dumps(one)}\n\n: still here\n\n" for one in replies
    )


FRAMINGS = {
    "lf": usual,
    "crlf": lambda replies: usual(replies, "\r\n"),
    "cr": lambda replies: usual(replies, "\r"),
    "many lines": over_many_lines,
    "noise": among_noise,
    "done": lambda replies: usual(replies) + "data: [DONE]\n\n",
    "unterminated": lambda replies: usual(replies).rstrip("\n"),
    "bom": lambda replies: "\ufeff" + usual(replies),
    "an array": lambda replies: dumps(replies, 2) if replies else "[]",
}


def decoded(provider, data, piece_bytes=None, *, stream=True):
    decoder = provider.decoder(make_call(stream=stream))
    size = piece_bytes or max(len(data), 1)
    replies = []
    for at in range(0, len(data), size):
        replies += decoder.feed(data[at : at + size])
    return replies + decoder.close()


@pytest.mark.parametrize("piece_bytes", [None, 7])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("case", REPLIES)
def test_streams(provider, wrapped, case, framing, piece_bytes):
    text = FRAMINGS[framing]([wrapped(reply) for reply in REPLIES[case]])
    assert decoded(provider, text.encode(), piece_bytes) == REPLIES[case]


@pytest.mark.parametrize("is_wrapped", [True, False], ids=["array", "object"])
@pytest.mark.parametrize("indent", [None, 2], ids=["one line", "pretty"])
@pytest.mark.parametrize("case", [case for case in REPLIES if REPLIES[case]])
def test_whole_answers(provider, wrapped, case, indent, is_wrapped):
    reply = REPLIES[case][0]
    value = [wrapped(reply)] if is_wrapped else wrapped(reply)
    assert decoded(provider, dumps(value, indent).encode(), 1000, stream=False) == [reply]


def test_a_stream_gives_each_reply_when_it_comes(provider, wrapped):
    decoder = provider.decoder(make_call(stream=True))
    for reply in REPLIES["text"]:
        assert decoder.feed(usual([wrapped(reply)]).encode()) == [reply]
    assert decoder.close() == []


@pytest.mark.parametrize(
    "written",
    [
        "data: " + dumps({"error": ERROR}) + "\n\n",
        "data: " + dumps([{"error": ERROR}]) + "\r\n\r\n",
        dumps({"error": ERROR}) + "\n",
        dumps({"error": ERROR}, 2),
        dumps([{"error": ERROR}], 2).replace("\n", "\r\n"),
        "data: " + dumps({"response": {"error": ERROR}, "error": ERROR}) + "\n\n",
    ],
    ids=["data", "data array", "bare line", "bare pretty", "bare array", "beside a response"],
)
def test_an_error_inside_a_stream(provider, wrapped, written):
    first = REPLIES["text"][0]
    replies = decoded(provider, (usual([wrapped(first)]) + written).encode(), 5)
    assert replies == [first, {"error": ERROR}]
    verdict = provider.classify(answer(replies[1]["error"]["code"], codec.dumps(replies[1])))
    assert (verdict.kind, verdict.reason) == ("rate", "rate_limited")


@pytest.mark.parametrize("value", [{"error": ERROR}, [{"error": ERROR}]], ids=["object", "array"])
def test_an_error_in_a_whole_answer(provider, value):
    assert decoded(provider, dumps(value, 2).encode(), stream=False) == [{"error": ERROR}]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"status": "RESOURCE_EXHAUSTED"}, 429),
        ({"code": "503"}, 503),
        ({"code": 13, "message": "x"}, 502),
        ("broken", 502),
        (["broken"], 502),
    ],
)
def test_every_error_has_a_status(provider, error, code):
    for stream in (True, False):
        data = ("data: " * stream + dumps({"error": error})).encode()
        (reply,) = decoded(provider, data, stream=stream)
        assert reply.keys() == {"error"}
        assert reply["error"]["code"] == code


@pytest.mark.parametrize("error", [None, {}, ""])
def test_an_empty_error_is_none(provider, error):
    data = dumps({**REPLIES["text"][0], "error": error}).encode()
    assert decoded(provider, data, stream=False) == [REPLIES["text"][0]]


UNREADABLE = [b"<html>sorry</html>", b"3", b"null", b"[1]", b'{"candidates": [', b"[" * 50_000]


@pytest.mark.parametrize("body", [b"", *UNREADABLE], ids=range(len(UNREADABLE) + 1))
def test_an_unreadable_answer_is_a_502(provider, body):
    (reply,) = decoded(provider, body, stream=False)
    assert reply["error"]["code"] == 502
    verdict = provider.classify(answer(502, codec.dumps(reply)))
    assert (verdict.fault, verdict.kind) == (Fault.RETRY, "server")


@pytest.mark.parametrize("body", UNREADABLE, ids=range(len(UNREADABLE)))
def test_an_unreadable_event_is_a_502(provider, wrapped, body):
    first = REPLIES["text"][0]
    replies = decoded(provider, usual([wrapped(first)]).encode() + b"data: " + body + b"\n\n")
    assert replies[0] == first
    assert replies[1]["error"]["code"] == 502


def test_two_answers_to_one_question_are_unreadable(provider, wrapped):
    body = dumps([wrapped(reply) for reply in REPLIES["text"]]).encode()
    assert decoded(provider, body, stream=False)[0]["error"]["code"] == 502


def test_broken_characters_are_shown_as_such(provider, wrapped):
    text = dumps(wrapped({"candidates": [{"content": {"parts": [{"text": "aXb"}]}}]}))
    body = text.encode().replace(b"aXb", b"a\xff\\ud800b")
    for stream in (True, False):
        (reply,) = decoded(provider, b"data: " * stream + body, stream=stream)
        text = reply["candidates"][0]["content"]["parts"][0]["text"]
        assert text[:2] == "a\ufffd"
        assert text[-1] == "b"


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_exchange_names_one_request_and_spares_the_call(provider, action, stream):
    call = make_call(stream=stream and action is Action.GENERATE, action=action)
    body = dumps(call.body)
    preparatory, request = drive(provider.exchange(call, CREDENTIAL, ENDPOINTS))
    assert preparatory == []
    assert request.method == "POST"
    assert request.stream is call.stream
    assert "Hi" in request.body.decode()
    assert "the-token" not in request.url + repr(request) + request.body.decode()
    assert dumps(call.body) == body


def test_a_token_count_comes_through(provider):
    assert decoded(provider, b'{\n  "totalTokens": 31\n}', stream=False) == [{"totalTokens": 31}]
