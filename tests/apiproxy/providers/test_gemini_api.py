import json

import pytest

from apiproxy.providers import gemini_api
from apiproxy.wire.types import Action
from tests.apiproxy.providers.helpers import CREDENTIAL, ENDPOINTS, drive, make_call, user


def outgoing(call):
    preparatory, request = drive(gemini_api.exchange(call, CREDENTIAL, ENDPOINTS))
    assert preparatory == []
    return request


def sent(body, **options):
    return json.loads(outgoing(make_call(body, **options)).body)


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ({}, "models/gemini-2.5-pro:generateContent"),
        ({"stream": True}, "models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
        ({"action": Action.COUNT_TOKENS}, "models/gemini-2.5-pro:countTokens"),
        ({"model": "models/gemini-2.5-pro"}, "models/gemini-2.5-pro:generateContent"),
        ({"model": "tunedModels/mine"}, "tunedModels/mine:generateContent"),
        ({"model": "../files?x=1#y"}, "models/..%2Ffiles%3Fx%3D1%23y:generateContent"),
        ({"model": "模型"}, "models/%E6%A8%A1%E5%9E%8B:generateContent"),
    ],
)
def test_the_address(options, end):
    request = outgoing(make_call(**options))
    assert (request.method, request.url) == ("POST", f"https://gemini.example/v1beta/{end}")
    assert request.stream is options.get("stream", False)


def test_the_key_stands_only_in_its_header():
    request = outgoing(make_call())
    assert request.headers["x-goog-api-key"] == "the-token"
    assert "the-token" not in request.url
    assert "the-token" not in repr(request)


def test_a_native_body_goes_through_as_it_is():
    body = {"contents": [user("Hi")], "serviceTier": "flex", "somethingNew": {"a": [1]}}
    assert sent(body) == body


def test_what_this_upstream_refuses_is_left_out():
    body = {
        "contents": [user("Hi")],
        "model": "models/other",
        "labels": {"team": "x"},
        "safetySettings": [
            {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"},
            {"category": "HARM_CATEGORY_JAILBREAK", "threshold": "OFF"},
            {"category": "HARM_CATEGORY_IMAGE_HATE", "threshold": "OFF"},
        ],
    }
    whole = json.dumps(body)
    assert sent(body) == {
        "contents": [user("Hi")],
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    }
    assert json.dumps(body) == whole, "the next upstream gets the body the client sent"


@pytest.mark.parametrize("settings", [None, 3, {}, [[], 1, {"category": []}, {}]])
def test_broken_safety_settings_are_left_for_google_to_explain(settings):
    body = {"contents": [], "safetySettings": settings}
    assert sent(body) == body


@pytest.mark.parametrize(
    "body", [{"contents": [user("Hi")]}, {"contents": [user("Hi")], "model": "m"}]
)
def test_contents_alone_are_counted_alone(body):
    assert sent(body, action=Action.COUNT_TOKENS) == {"contents": [user("Hi")]}


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_system_and_tools_count_too(is_wrapped):
    request = {"contents": [user("Hi")], "systemInstruction": {"parts": [{"text": "x"}]}}
    body = {"generateContentRequest": request} if is_wrapped else request
    assert sent(body, action=Action.COUNT_TOKENS) == {
        "generateContentRequest": {"model": "models/gemini-2.5-pro", **request}
    }


def embedding(body):
    call = make_call(body, model="gemini-embedding-001", action=Action.EMBED)
    _, request = drive(gemini_api.exchange(call, CREDENTIAL, ENDPOINTS))
    return request.url, json.loads(request.body), call.body


def test_embeddings_name_the_model_in_every_request():
    named = "models/gemini-embedding-001"
    given = {
        "requests": [{"content": user("a"), "model": "models/an-alias"}, {"content": user("b")}]
    }
    url, body, left = embedding(given)
    assert url == f"https://gemini.example/v1beta/{named}:batchEmbedContents"
    assert [request["model"] for request in body["requests"]] == [named, named]
    assert left["requests"][0]["model"] == "models/an-alias"
    url, body, _ = embedding({"content": user("a"), "title": "t"})
    assert url == f"https://gemini.example/v1beta/{named}:embedContent"
    assert body == {"model": named, "content": user("a"), "title": "t"}
