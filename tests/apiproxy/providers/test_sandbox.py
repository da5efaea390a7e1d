import base64
import json

import pytest

from apiproxy.providers import sandbox
from apiproxy.wire import codec
from apiproxy.wire.types import Action, Fault, Framing
from apiproxy.wire.usage import delivers, finished, usage_of
from tests.apiproxy.providers.helpers import (
    CREDENTIAL,
    ENDPOINTS,
    MIDNIGHT,
    NOW,
    answer,
    drive,
    make_call,
    user,
)

FUNCTION = {
    "name": "get_weather",
    "parametersJsonSchema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
    },
}


def play(call):
    _, outgoing = drive(sandbox.exchange(call, CREDENTIAL, ENDPOINTS))
    return sandbox.respond(outgoing)


def replies(model, body=None, *, stream=True, action=Action.GENERATE):
    """Through the decoder, as the relay would see them."""
    call = make_call(body, model=model, stream=stream, action=action)
    played = play(call)
    assert played.status == 200
    decoder = sandbox.decoder(call)
    seen = [reply for _, frame in played.frames for reply in decoder.feed(frame)]
    return seen + decoder.close()


def parts_of(seen):
    return [
        part for reply in seen for one in reply["candidates"] for part in one["content"]["parts"]
    ]


def text_of(seen):
    return "".join(part.get("text", "") for part in parts_of(seen) if not part.get("thought"))


def asking(text, **more):
    return {"contents": [user(text)], **more}


def test_every_model_is_listed_and_answers():
    for model in sandbox.SANDBOX_MODELS:
        for stream in (True, False):
            played = play(make_call(model=model, stream=stream))
            kind = "text/event-stream" if stream and played.status == 200 else "application/json"
            assert played.headers["content-type"].startswith(kind)
            assert all(isinstance(frame, bytes) for _, frame in played.frames)


def test_an_unknown_model_is_missing():
    played = play(make_call(model="sandbox-x"))
    ((_, body),) = played.frames
    assert sandbox.classify(answer(played.status, body)).kind == "model_missing"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("text", ["Hello, big  world!\n", "漢字 und 🏔️", "x" * 9])
def test_echo_says_back_the_last_user_turn(text, stream):
    history = [user("before"), {"role": "model", "parts": [{"text": "m"}]}, user(text)]
    seen = replies("sandbox-echo", {"contents": history}, stream=stream)
    assert text_of(seen) == text
    assert finished(seen[-1])
    assert usage_of(seen[-1]).input_tokens > 0
    assert usage_of(seen[-1]).output_tokens == -(-len(text.encode()) // 4)


def test_echo_streams_word_by_word_at_a_small_pace():
    played = play(make_call(asking("one two three"), model="sandbox-echo", stream=True))
    frames = list(played.frames)
    assert [delay for delay, _ in frames] == [0, sandbox.ECHO_PAUSE_S, sandbox.ECHO_PAUSE_S]
    assert all(frame.startswith(b"data: ") and frame.endswith(b"\n\n") for _, frame in frames)
    assert sum(b"finishReason" in frame for _, frame in frames) == 1


def test_a_long_echo_does_not_take_longer():
    text = "word " * 30_000
    seen = replies("sandbox-echo", asking(text))
    assert text_of(seen) == text
    assert len(seen) <= 100


def test_an_echo_ends_at_the_limit_of_a_model():
    seen = replies("sandbox-echo", asking("word " * 60_000))
    assert len(text_of(seen)) == 4 * 65_536
    assert seen[-1]["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_echo_without_words_says_what_to_do():
    assert text_of(replies("sandbox-echo", {"contents": [{"role": "user", "parts": []}]}))


def test_echo_shows_that_it_has_read_the_system_instruction():
    body = asking("Hi", systemInstruction={"parts": [{"text": "Be "}, {"text": "kind"}]})
    assert text_of(replies("sandbox-echo", body)) == "[Be kind] Hi"


def test_echo_names_media():
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    body = {"contents": [{"role": "user", "parts": [{"text": "See "}, picture]}]}
    assert text_of(replies("sandbox-echo", body)) == "See [image/png, 3 bytes]"


@pytest.mark.parametrize("field", ["responseJsonSchema", "responseSchema"])
def test_json_mode_fits_the_schema(field):
    schema = {
        "type": "object",
        "properties": {"said": {"type": "string"}, "n": {"type": "integer"}},
    }
    config = {"responseMimeType": "application/json", field: schema}
    text = text_of(replies("sandbox-echo", asking("Hi", generationConfig=config)))
    assert json.loads(text) == {"said": "Hi", "n": 1}


def test_json_mode_without_a_schema_is_an_object():
    config = {"responseMimeType": "application/json"}
    text = text_of(replies("sandbox-echo", asking("Hi", generationConfig=config)))
    assert json.loads(text) == {"echo": "Hi"}


def test_an_enum_answer_is_one_of_its_words():
    config = {"responseMimeType": "text/x.enum", "responseSchema": {"enum": ["red", "blue"]}}
    assert text_of(replies("sandbox-echo", asking("Hi", generationConfig=config))) == "red"


@pytest.mark.parametrize(
    ("config", "text", "reason"),
    [
        ({"maxOutputTokens": 2}, "one two ", "MAX_TOKENS"),
        ({"maxOutputTokens": 9}, "one two three", "STOP"),
        ({"stopSequences": ["three", " two"]}, "one", "STOP"),
    ],
)
def test_echo_stops_where_a_model_would(config, text, reason):
    seen = replies("sandbox-echo", asking("one two three", generationConfig=config))
    assert text_of(seen) == text
    assert seen[-1]["candidates"][0]["finishReason"] == reason


def test_slow_thinks_in_silence_and_then_writes_twenty_words():
    frames = list(play(make_call(model="sandbox-slow", stream=True)).frames)
    assert frames[0][0] >= 1
    assert 2 <= sum(delay for delay, _ in frames[1:]) <= 10
    seen = replies("sandbox-slow")
    assert len(seen) == 21
    assert parts_of(seen[:1])[0]["thought"] is True
    assert usage_of(seen[-1]).thinking_tokens > 0
    ((delay_s, _),) = play(make_call(model="sandbox-slow")).frames
    assert delay_s == pytest.approx(sum(delay for delay, _ in frames))


def test_tools_calls_the_first_function_with_fitting_arguments():
    tools = [{"googleSearch": {}}, {"functionDeclarations": [FUNCTION, {"name": "other"}]}]
    seen = replies("sandbox-tools", asking("Rome", tools=tools))
    call = parts_of(seen)[0]["functionCall"]
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Rome", "days": 3})
    assert call["id"]
    assert base64.b64decode(parts_of(seen)[0]["thoughtSignature"])
    assert [finished(reply) for reply in seen] == [False, True], "call and STOP come apart"


def test_tools_keeps_to_the_allowed_functions():
    tools = [{"functionDeclarations": [FUNCTION, {"name": "other"}]}]
    allowed = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["other"]}}
    seen = replies("sandbox-tools", asking("x", tools=tools, toolConfig=allowed), stream=False)
    assert parts_of(seen)[0]["functionCall"]["name"] == "other"
    assert parts_of(seen)[0]["functionCall"]["args"] == {}
    none = {"functionCallingConfig": {"mode": "NONE"}}
    assert text_of(replies("sandbox-tools", asking("x", tools=tools, toolConfig=none)))


def test_tools_quotes_what_the_functions_answered():
    answers = [{"functionResponse": {"id": "1", "name": "get_weather", "response": {"c": 21}}}]
    body = {
        "contents": [user("Rome"), {"role": "user", "parts": answers}],
        "tools": [{"functionDeclarations": [FUNCTION]}],
    }
    assert text_of(replies("sandbox-tools", body)) == 'The function get_weather answered {"c":21}.'


def test_another_turn_is_another_call_id():
    tools = [{"functionDeclarations": [FUNCTION]}]
    ids = {
        parts_of(replies("sandbox-tools", asking(city, tools=tools)))[0]["functionCall"]["id"]
        for city in ("Rome", "Oslo")
    }
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("ratio", "size"), [("", (96, 96)), ("16:9", (96, 54)), ("9:16", (54, 96))]
)
def test_image_draws_a_picture_whose_colour_follows_from_the_prompt(ratio, size):
    def drawn(prompt):
        config = {"imageConfig": {"aspectRatio": ratio}}
        seen = replies("sandbox-image", asking(prompt, generationConfig=config))
        (data,) = [part["inlineData"] for part in parts_of(seen) if "inlineData" in part]
        assert data["mimeType"] == "image/png"
        return base64.b64decode(data["data"])

    picture = drawn("a cat")
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == size
    assert picture == drawn("a cat") != drawn("a dog")


FAILING = {
    "sandbox-error-client": (Fault.CLIENT_FAULT, "client", 0),
    "sandbox-error-auth": (Fault.NEXT_CREDENTIAL, "auth", 0),
    "sandbox-error-licence": (Fault.NEXT_CREDENTIAL, "licence", 0),
    "sandbox-error-rate": (Fault.NEXT_CREDENTIAL, "rate", NOW + 5),
    "sandbox-error-quota": (Fault.NEXT_CREDENTIAL, "quota", MIDNIGHT),
    "sandbox-error-model-missing": (Fault.NEXT_CREDENTIAL, "model_missing", NOW + 12 * 3600),
    "sandbox-error-capacity": (Fault.RETRY, "capacity", 0),
    "sandbox-error-server": (Fault.RETRY, "server", 0),
    "sandbox-error-timeout": (Fault.RETRY, "timeout", 0),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", FAILING)
def test_failing_models_fail_in_their_class_and_wear_nothing_out(model, stream):
    played = play(make_call(model=model, stream=stream))
    assert played.status >= 400
    ((_, body),) = played.frames
    verdict = sandbox.classify(answer(played.status, body))
    assert (verdict.fault, verdict.kind, verdict.until) == FAILING[model]
    assert verdict.message


@pytest.mark.parametrize("stream", [True, False])
def test_broken_stream(stream):
    call = make_call(model="sandbox-error-broken-stream", stream=stream)
    played = play(call)
    if not stream:
        assert played.status == 503
        return
    *spoken, last = replies("sandbox-error-broken-stream")
    assert text_of(spoken)
    assert not any(finished(reply) for reply in spoken)
    verdict = sandbox.classify(answer(last["error"]["code"], codec.dumps(last)))
    assert (verdict.fault, verdict.kind) == (Fault.RETRY, "server")


def test_cut_stream():
    seen = replies("sandbox-error-cut-stream")
    assert text_of(seen)
    assert not any(finished(reply) for reply in seen)
    (whole,) = replies("sandbox-error-cut-stream", stream=False)
    assert whole["error"]["code"] == 502


@pytest.mark.parametrize("stream", [True, False])
def test_empty(stream):
    seen = replies("sandbox-error-empty", stream=stream)
    assert len(seen) == 1
    assert not delivers(seen[0])
    assert not finished(seen[0])


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_tokens_are_counted(is_wrapped):
    request = asking("12345678", systemInstruction={"parts": [{"text": "1234"}]})
    body = {"generateContentRequest": request} if is_wrapped else request
    seen = replies("sandbox-echo", body, stream=False, action=Action.COUNT_TOKENS)
    assert seen == [{"totalTokens": 3}]


def test_the_same_request_gets_the_same_answer():
    call = make_call(
        asking("x", tools=[{"functionDeclarations": [FUNCTION]}]), model="sandbox-tools"
    )
    assert list(play(call).frames) == list(play(call).frames)


BROKEN = [
    {"contents": 3},
    {"contents": [3, {"parts": 3}, {"parts": [3, {"text": 3}, {"inlineData": 3}]}]},
    {"contents": [user("x")], "systemInstruction": 3, "generationConfig": 3, "tools": 3},
    {
        "contents": [user("x")],
        "tools": [{"functionDeclarations": [3, {"name": 3}]}],
        "toolConfig": 3,
    },
    {
        "contents": [user("x")],
        "generationConfig": {"stopSequences": [3, ""], "maxOutputTokens": "9"},
    },
    {"contents": [user("x")], "generationConfig": {"responseMimeType": [], "imageConfig": 3}},
    {"contents": [user("a\ud800b")]},
    {"generateContentRequest": 3, "contents": []},
]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("model", sandbox.SANDBOX_MODELS)
def test_no_request_raises(model, body):
    for action in Action:
        call = make_call(body, model=model, stream=action is Action.GENERATE, action=action)
        assert list(play(call).frames)


def test_framing_of_the_client_does_not_matter_here():
    call = make_call(model="sandbox-echo", stream=True)
    call.framing = Framing.ARRAY
    assert play(call).headers["content-type"] == "text/event-stream"
