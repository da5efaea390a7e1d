import json

import pytest
from msgspec.structs import replace

from apiproxy.providers import code_assist
from apiproxy.wire.types import Action
from tests.apiproxy.providers.helpers import CREDENTIAL, ENDPOINTS, drive, make_call, user


def outgoing(call, credential=CREDENTIAL):
    preparatory, request = drive(code_assist.exchange(call, credential, ENDPOINTS))
    assert preparatory == []
    return request


def sent(body=None, **options):
    return json.loads(outgoing(make_call(body, **options)).body)


@pytest.mark.parametrize(
    ("options", "method"),
    [
        ({}, "generateContent"),
        ({"stream": True}, "streamGenerateContent?alt=sse"),
        ({"action": Action.COUNT_TOKENS}, "countTokens"),
    ],
)
def test_the_address(options, method):
    request = outgoing(make_call(**options))
    assert request.url == f"https://assist.example/v1internal:{method}"
    assert request.stream is options.get("stream", False)


def test_the_headers():
    headers = outgoing(make_call(stream=True)).headers
    assert headers["authorization"] == "Bearer the-token"
    assert headers["user-agent"].startswith("GeminiCLI/")
    assert "/gemini-2.5-pro (" in headers["user-agent"]
    assert headers["accept"] == "text/event-stream"


def test_the_envelope():
    assert sent() == {
        "model": "gemini-2.5-pro",
        "project": "the-project",
        "user_prompt_id": "req-1",
        "request": {"contents": [user("Hi")]},
    }


def test_without_a_project_none_is_named():
    request = outgoing(make_call(), replace(CREDENTIAL, project=""))
    assert "project" not in json.loads(request.body)


@pytest.mark.parametrize(
    ("model", "name"),
    [("gemini-3.5-flash", "gemini-3-flash"), ("models/gemini-2.5-pro", "gemini-2.5-pro")],
)
def test_the_model_has_the_name_this_upstream_knows(model, name):
    assert sent(model=model)["model"] == name


def test_only_accepted_fields_go_through():
    body = {
        "contents": [user("Hi")],
        "systemInstruction": {"parts": [{"text": "x"}]},
        "tools": [{"googleSearch": {}}],
        "toolConfig": {},
        "labels": {"a": "b"},
        "safetySettings": [{"category": "HARM_CATEGORY_JAILBREAK", "threshold": "OFF"}],
        "session_id": "s",
        "generationConfig": {"temperature": 1, "top_p": 0.5, "imageConfig": {}, "newOption": 1},
        "serviceTier": "flex",
        "store": True,
        "model": "x",
        "cachedContent": "cachedContents/1",
        "somethingNew": 1,
    }
    whole = json.dumps(body)
    assert sent(body)["request"] == {
        "contents": body["contents"],
        "systemInstruction": body["systemInstruction"],
        "tools": body["tools"],
        "toolConfig": {},
        "labels": {"a": "b"},
        "safetySettings": body["safetySettings"],
        "session_id": "s",
        "generationConfig": {"temperature": 1, "top_p": 0.5},
    }
    assert json.dumps(body) == whole, "the next upstream gets the body the client sent"


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_counting_has_a_shape_of_its_own(is_wrapped):
    thought = {"text": "hm", "thought": True, "thoughtSignature": "c2ln"}
    call = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}
    request = {
        "contents": [user("Hi"), {"role": "model", "parts": [thought, call]}],
        "systemInstruction": {"parts": [{"text": "x"}]},
    }
    body = {"generateContentRequest": request} if is_wrapped else request
    assert sent(body, action=Action.COUNT_TOKENS) == {
        "request": {
            "model": "models/gemini-2.5-pro",
            "contents": [user("Hi"), {"role": "model", "parts": [{"text": "hm"}, call]}],
        }
    }


@pytest.mark.parametrize("contents", [None, 3, [1], [{"parts": 3}], [{"parts": [1]}]])
def test_counting_leaves_broken_contents_for_google_to_explain(contents):
    body = {"contents": contents}
    assert sent(body, action=Action.COUNT_TOKENS)["request"]["contents"] == contents


@pytest.mark.parametrize(
    ("envelope", "reply"),
    [
        ({"response": {"candidates": []}, "traceId": "1"}, {"candidates": []}),
        ({"traceId": "1", "remainingCredits": []}, {}),
        ({"totalTokens": 3}, {"totalTokens": 3}),
        ({"response": None, "error": {"code": 429}}, {"response": None, "error": {"code": 429}}),
    ],
)
def test_the_envelope_comes_off(envelope, reply):
    assert code_assist.unwrap(envelope) == reply
