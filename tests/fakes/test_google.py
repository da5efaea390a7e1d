"""Answers, scripts and records."""

import base64
import json
import threading
import time

import httpx
import pytest

from tests.fakes.conftest import KEY, TOKEN, parts, said, text_of
from tests.fakes.google_parse import decode_base64
from tests.fakes.google_scenarios import SCENARIOS

WEATHER = {
    "functionDeclarations": [
        {
            "name": "get_weather",
            "parametersJsonSchema": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city", "days"],
            },
        }
    ]
}


# ---------------------------------------------------------------------------- contents


def test_text_says_what_was_asked_and_only_the_last_chunk_finishes(caller):
    chunks = caller.chunks(said("good morning"))
    assert text_of(chunks) == "You said: good morning"
    assert len(chunks) > 1
    assert ["finishReason" in c["candidates"][0] for c in chunks] == [False] * (len(chunks) - 1) + [
        True
    ]
    assert len({chunk["responseId"] for chunk in chunks}) == 1


def test_unary_and_stream_say_the_same(caller):
    answer = caller.answer(said("good morning"))
    assert parts(answer) == [{"text": "You said: good morning"}]
    assert answer["candidates"][0]["finishReason"] == "STOP"
    usage = answer["usageMetadata"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"]


def test_code_assist_wraps_in_an_envelope(assist):
    response = assist.say("hi")
    body = response.json()
    assert set(body) == {"response", "traceId"}
    assert response.headers["x-cloudaicompanion-trace-id"] == body["traceId"]
    assert "index" not in body["response"]["candidates"][0]
    assert response.text.startswith('{\n  "response"')


def test_thoughts_come_first_and_the_signature_on_an_empty_last_part(fake, caller):
    fake.script("thoughts", text="Fine.")
    chunks = caller.chunks(model="gemini-3.5-flash" if not caller.code_assist else "gemini-3-flash")
    assert parts(chunks[0])[0]["thought"] is True
    last = parts(chunks[-1])[0]
    assert last["text"] == ""
    assert decode_base64(last["thoughtSignature"])
    assert text_of(chunks) == "Fine."
    assert chunks[-1]["usageMetadata"]["thoughtsTokenCount"] > 0


def test_unary_thoughts_carry_the_signature_on_the_text(fake, gemini):
    fake.script("thoughts", text="Fine.")
    thought, text = parts(gemini.answer(model="gemini-3.5-flash"))
    assert thought["thought"] is True
    assert text["text"] == "Fine."
    assert text["thoughtSignature"]


def test_a_call_is_made_from_the_declared_schema(fake, caller):
    fake.script("tool_call")
    (part,) = parts(caller.answer(said("weather?", tools=[WEATHER])))
    call = part["functionCall"]
    assert call["name"] == "get_weather"
    assert isinstance(call["args"]["city"], str)
    assert isinstance(call["args"]["days"], int)
    assert call["id"]
    assert part["thoughtSignature"]


def test_parallel_calls_sign_only_the_first(fake, caller):
    fake.script("parallel_calls", calls=[{"name": "a", "args": {"x": 1}}, {"name": "b"}])
    first, second = parts(caller.answer())
    assert first["functionCall"]["args"] == {"x": 1}
    assert "thoughtSignature" in first
    assert "thoughtSignature" not in second
    assert "args" not in second["functionCall"]


def test_call_and_stop_in_separate_chunks(fake, caller):
    fake.script("call_then_stop")
    call, stop = caller.chunks()
    assert "functionCall" in parts(call)[0]
    assert "finishReason" not in call["candidates"][0]
    assert parts(stop) == [{"text": ""}]
    assert stop["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize(
    ("scenario", "field"), [("call_without_id", "id"), ("call_without_args", "args")]
)
def test_calls_may_lack_fields(fake, gemini, scenario, field):
    fake.script(scenario)
    assert field not in parts(gemini.answer())[0]["functionCall"]


def test_auto_calls_a_tool_then_answers_from_its_result(fake, caller):
    fake.script("auto")
    asked = said("weather?", tools=[WEATHER])
    part = parts(caller.answer(asked))[0]
    result = {"name": "get_weather", "response": {"sky": "blau"}, "id": part["functionCall"]["id"]}
    asked["contents"] += [
        {"role": "model", "parts": [part]},
        {"role": "user", "parts": [{"functionResponse": result}]},
    ]
    assert '{"sky": "blau"}' in parts(caller.answer(asked))[0]["text"]


def test_mode_any_calls_without_a_script_and_mode_none_never_calls(fake, gemini):
    asked = said("weather?", tools=[WEATHER])
    asked["toolConfig"] = {"functionCallingConfig": {"mode": "ANY"}}
    assert "functionCall" in parts(gemini.answer(asked))[0]
    fake.script("auto")
    asked["toolConfig"] = {"functionCallingConfig": {"mode": "NONE"}}
    assert "text" in parts(gemini.answer(asked))[0]


def test_image_model_answers_with_an_image(gemini):
    body = said("a cat", generationConfig={"responseModalities": ["TEXT", "IMAGE"]})
    text, image = parts(gemini.answer(body, model="gemini-3.1-flash-image"))
    assert text["text"]
    assert base64.b64decode(image["inlineData"]["data"]).startswith(b"\x89PNG")
    assert image["thoughtSignature"]


def test_grounding_counts_bytes(fake, caller):
    fake.script("grounding")
    chunks = caller.chunks()
    raw = text_of(chunks).encode()
    assert len(raw) > len(text_of(chunks))
    supports = chunks[-1]["candidates"][0]["groundingMetadata"]["groundingSupports"]
    assert len(supports) == 2
    for support in supports:
        segment = support["segment"]
        cut = raw[segment.get("startIndex", 0) : segment["endIndex"]]
        assert cut.decode() == segment["text"]


def test_code_execution_shows_code_and_result(fake, gemini):
    fake.script("code_execution")
    kinds = [next(iter(part)) for part in parts(gemini.answer())]
    assert kinds == ["text", "executableCode", "codeExecutionResult", "text"]


def test_several_candidates_interleave(gemini):
    body = said("hi", generationConfig={"candidateCount": 3})
    indexes = [chunk["candidates"][0]["index"] for chunk in gemini.chunks(body)]
    assert indexes == [0, 1, 2, 0, 1, 2]
    assert len(gemini.answer(body)["candidates"]) == 3


@pytest.mark.parametrize("shape", ["no_parts", "no_content"])
def test_thinking_can_eat_the_whole_limit(fake, caller, shape):
    fake.script("max_tokens_empty", shape=shape)
    (candidate,) = caller.answer()["candidates"]
    assert candidate["finishReason"] == "MAX_TOKENS"
    assert candidate.get("content") == ({"role": "model"} if shape == "no_parts" else None)


def test_a_blocked_prompt_has_no_candidates(fake, caller):
    fake.script("blocked_prompt", block_reason="SAFETY")
    answer = caller.answer()
    assert "candidates" not in answer
    assert answer["promptFeedback"]["blockReason"] == "SAFETY"
    assert "candidatesTokenCount" not in answer["usageMetadata"]


def test_any_finish_reason_with_or_without_content(fake, gemini):
    fake.script("finish", finish_reason="RECITATION", times=1)
    assert gemini.answer()["candidates"][0]["finishReason"] == "RECITATION"
    fake.script("no_content", finish_reason="MALFORMED_FUNCTION_CALL", finish_message="bad call")
    candidate = gemini.answer()["candidates"][0]
    assert candidate["finishMessage"] == "bad call"
    assert "content" not in candidate


@pytest.mark.parametrize(
    ("scenario", "carried"),
    [("usage_all", [1, 1, 1]), ("usage_last", [0, 0, 1]), ("usage_never", [0, 0, 0])],
)
def test_usage_in_streams(fake, caller, scenario, carried):
    fake.script(scenario)
    chunks = caller.chunks()
    assert ["usageMetadata" in chunk for chunk in chunks] == [bool(one) for one in carried]
    if scenario == "usage_all":
        totals = [chunk["usageMetadata"]["totalTokenCount"] for chunk in chunks]
        assert totals == sorted(set(totals))


def test_chunks_may_be_given_whole(fake, caller):
    whole = {"candidates": [{"content": {"role": "model", "parts": [{"text": "c"}]}}]}
    fake.script("text", chunks=["a", [{"text": "b", "thought": True}], whole])
    assert [parts(chunk)[0]["text"] for chunk in caller.chunks()] == ["a", "b", "c"]


def test_json_mode_answers_a_document_of_the_schema(caller):
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer", "minimum": 18},
            "score": {"type": "number"},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 2},
            "ok": {"type": ["boolean", "null"]},
        },
        "required": ["name", "age", "score", "tags", "ok"],
        "$defs": {"tag": {"enum": ["red", "green"]}},
    }
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    document = json.loads(parts(caller.answer(said("x", generationConfig=config)))[0]["text"])
    assert document["tags"] == ["red", "red"]
    assert document["age"] >= 18
    assert document["ok"] is True
    assert isinstance(document["score"], float)


# ---------------------------------------------------------------------------- scripts


def statuses(caller, count, **options):
    return [caller.say(**options).status_code for _ in range(count)]


def test_counted_scripts_queue_before_the_lasting_one(fake, gemini):
    fake.script("error", error="overload")
    fake.script("error", error="quota_minute", times=1)
    fake.script("text", times=2)
    assert statuses(gemini, 5) == [429, 200, 200, 503, 503]


def test_the_most_specific_script_wins(fake, gemini):
    fake.script("error", error="quota_day", credential=KEY, model="gemini-2.5-pro")
    fake.script("error", error="overload", credential=KEY)
    fake.script("error", error="deadline", model="gemini-2.5-flash")
    fake.script("error", error="server")
    assert statuses(gemini, 1, model="gemini-2.5-pro") == [429]
    assert statuses(gemini, 1) == [503]
    fake.add_api_key("other")
    assert statuses(gemini, 1, **{"x-goog-api-key": "other"}) == [504]


@pytest.mark.parametrize("name", [TOKEN, "1//alice", "alice@example.com", "alpha"])
def test_an_account_answers_to_all_of_its_names(fake, assist, gemini, name):
    fake.script("error", error="ca_tos", credential=name)
    assert statuses(assist, 1) == [403]
    assert statuses(gemini, 1) == [200]


def test_a_header_chooses_the_scenario(fake, gemini):
    choice = json.dumps({"scenario": "error", "error": "leaked"})
    response = gemini.say(**{"x-fake-scenario": choice})
    assert "leaked" in response.json()["error"]["message"]
    assert gemini.say(**{"x-fake-scenario": "no_finish"}).status_code == 200
    assert fake.requests[-1].scenario == "no_finish"


def test_unknown_names_and_options_are_refused(fake):
    with pytest.raises(ValueError, match="unknown scenario"):
        fake.script("typo")
    with pytest.raises(ValueError, match="unknown options"):
        fake.script("text", txt="hello")


def test_scripts_reach_other_kinds_of_call(fake, http):
    headers = {"x-goog-api-key": KEY}
    fake.script("error", error="quota_day", on="models", times=1)
    fake.script("html_502", on="userinfo", times=1)
    assert http.get("/v1beta/models", headers=headers).status_code == 429
    assert http.get("/v1beta/models", headers=headers).status_code == 200
    answer = http.get("/oauth2/v2/userinfo", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("name", [n for n, s in SCENARIOS.items() if s.kinds == ("generate",)])
def test_every_scenario_plays_on_both_upstreams(fake, caller, name):
    fast = {"silence_s": 0.01} if name.startswith("silence") else {}
    fast |= (
        {"size": 3000} if name == "huge_line" else {"interval_s": 0.001} if name == "slow" else {}
    )
    fake.script(name, **fast)
    for stream in (True, False):
        if name.startswith("reset"):
            with pytest.raises(httpx.TransportError):
                caller.say(stream=stream)
        else:
            caller.say(stream=stream)
    assert [record.scenario for record in fake.calls()] == [name, name]


# ---------------------------------------------------------------------------- records and control


def test_records_keep_what_was_sent(fake, http):
    http.post(f"/v1beta/models/gemini-2.5-flash:generateContent?key={KEY}", json=said("hi"))
    (record,) = fake.requests
    assert (record.kind, record.credential, record.model) == ("generate", KEY, "gemini-2.5-flash")
    assert record.body == said("hi")
    assert record.query == {"key": KEY}
    assert record.status == 200
    assert abs(record.when - time.monotonic()) < 5


def test_waiting_for_calls_wakes_at_once(fake, gemini):
    thread = threading.Thread(target=gemini.say)
    thread.start()
    assert fake.wait_for_calls(1, timeout_s=2)[0].credential == KEY
    thread.join()
    with pytest.raises(TimeoutError):
        fake.wait_for_calls(5, timeout_s=0.01)


def test_the_control_surface_mirrors_the_methods(fake, http):
    http.post("/_fake/reset", json={})
    assert fake.requests == []
    order = {
        "api_keys": ["k1"],
        "accounts": [{"access_token": "t1", "email": "bob@example.com", "project": "beta"}],
        "expire": ["t1"],
    }
    assert http.post("/_fake/credentials", json=order).json() == {"accounts": ["bob@example.com"]}
    script = {
        "scenario": "error",
        "credential": "k1",
        "times": 1,
        "options": {"error": "suspended"},
    }
    assert http.post("/_fake/script", json=script).status_code == 200
    path = "/v1beta/models/gemini-2.5-flash:generateContent?key=k1"
    assert http.post(path, json=said("hi")).status_code == 403
    assert http.post(path, json=said("hi")).status_code == 200
    shown = http.get("/_fake/requests", params={"kind": "generate"}).json()["requests"]
    assert [one["status"] for one in shown] == [403, 200]
    later = http.get("/_fake/requests", params={"since": shown[0]["id"]}).json()["requests"]
    assert [one["id"] for one in later] == [shown[1]["id"]]
    bearer = {"authorization": "Bearer t1"}
    assert http.get("/oauth2/v2/userinfo", headers=bearer).status_code == 401
    assert http.post("/_fake/script", json={"scenario": "typo"}).status_code == 422
    http.post("/_fake/reset", json={"keep_credentials": True})
    assert http.post(path, json=said("hi")).status_code == 200
