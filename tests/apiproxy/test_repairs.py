import copy

import msgspec
import pytest

from apiproxy.repairs import knows_no_json_schema, mend
from apiproxy.signatures import STAND_IN
from apiproxy.wire.types import Fault, Verdict
from tests.apiproxy.dialects.schemas import accepted

USER = {"role": "user", "parts": [{"text": "a"}]}
SIGNATURE = Verdict(Fault.CLIENT_FAULT, "client", "thought_signature", "Corrupted.", 400)


def refused(message, status=400):
    return Verdict(Fault.CLIENT_FAULT, "client", "invalid_request", message, status)


SCHEMA = refused("Unknown name \"parametersJsonSchema\" at 'tools[0]': Cannot find field.")
LAST_TURN = refused("Requests ending with a model turn are not supported.")


def call(name, **part):
    return {"functionCall": {"name": name, "args": {}}, **part}


def model(*parts):
    return {"role": "model", "parts": list(parts)}


def repaired(body, verdict, done=()):
    before = copy.deepcopy(body)
    repair = mend(body, verdict, done)
    assert body == before
    return repair and repair.body


def test_signatures_give_way_to_the_stand_in():
    body = {
        "contents": [
            USER,
            model(
                {"text": "t", "thoughtSignature": "a"},
                call("f", thought_signature="b"),
                call("g", thoughtSignature="c"),
            ),
            USER,
            model(call("h"), {"inlineData": {}, "thoughtSignature": "d"}),
        ]
    }
    assert repaired(body, SIGNATURE)["contents"] == [
        USER,
        model({"text": "t"}, call("f", thoughtSignature=STAND_IN), call("g")),
        USER,
        model(
            call("h", thoughtSignature=STAND_IN), {"inlineData": {}, "thoughtSignature": STAND_IN}
        ),
    ]


@pytest.mark.parametrize("verdict", [SIGNATURE, SCHEMA, LAST_TURN])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"contents": 5, "tools": 5, "generationConfig": 5},
        {"contents": [], "tools": [5], "generationConfig": {}},
        {"contents": [5], "tools": [{"functionDeclarations": [5, {}]}]},
        {"contents": [{"role": "model", "parts": 5}, USER], "tools": [{"functionDeclarations": 5}]},
    ],
)
def test_what_would_stay_as_it_is_is_not_repaired(body, verdict):
    assert repaired(body, verdict) is None


def test_each_repair_is_made_once():
    body = {"contents": [USER, model({"text": "a"})]}
    assert mend(body, LAST_TURN, ()).kind == "last_turn"
    assert mend(body, LAST_TURN, {"last_turn"}) is None
    assert mend(body, LAST_TURN, {"schemas"}) is not None


def test_schemas_take_their_older_form():
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}
    body = {
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "f", "parametersJsonSchema": schema},
                    {"name": "g"},
                ]
            },
            {"googleSearch": {}},
        ],
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": schema,
            "seed": 1,
        },
    }
    made = repaired(body, SCHEMA)
    older = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}
    assert made["tools"] == [
        {"functionDeclarations": [{"name": "f", "parameters": older}, {"name": "g"}]},
        {"googleSearch": {}},
    ]
    assert made["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseSchema": older,
        "seed": 1,
    }
    accepted(declaration=made["tools"][0]["functionDeclarations"][0])


def test_a_native_schema_that_is_none_is_left_to_the_upstreams_words():
    body = {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": 5}]}]}
    assert repaired(body, SCHEMA) is None


@pytest.mark.parametrize(
    "message",
    [
        "Requests ending with a model turn are not supported unless the last part is a function response.",
        "Please ensure that multiturn requests ends with a user role or a function response.",
        "Please ensure that multiturn requests end with a user role",
    ],
)
def test_a_trailing_model_turn_gets_an_answer(message):
    contents = [USER, model({"text": "Once upon"})]
    made = repaired({"contents": contents}, refused(message))
    assert made["contents"][:2] == contents
    assert [content["role"] for content in made["contents"]] == ["user", "model", "user"]
    assert repaired({"contents": [USER]}, refused(message)) is None


def test_other_refusals_are_the_clients():
    body = {"contents": [USER, model({"text": "a"})]}
    assert repaired(body, refused("contents is not specified")) is None
    assert repaired(body, refused("Requests ending with a model turn", status=413)) is None


TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def history(signature):
    """One call of a model and its answer, for Chat Completions."""
    extra = {"extra_content": {"google": {"thought_signature": signature}}}
    made = {"id": "c1", "type": "function", "function": {"name": "get_weather"}, **extra}
    return [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]


async def test_a_foreign_signature_costs_one_more_attempt(edge, fake, lent, key):
    answer = await edge.chat(
        key.text, "gemini-3-flash-preview", messages=history("Zm9yZWlnbg=="), tools=[TOOL]
    )
    assert answer.status == 200
    assert [seen.status for seen in fake.calls()] == [400, 200]
    log = await edge.log(answer)
    assert [attempt["reason"] for attempt in log.attempts] == ["thought_signature", ""]
    assert "stand-in" in log.dropped[0]


async def test_a_foreign_signature_in_a_native_request(edge, fake, lent, key):
    contents = [
        USER,
        model(call("f", thoughtSignature="Zm9yZWlnbg==")),
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
    ]
    answer = await edge.post(
        "/v1beta/models/gemini-3-flash-preview:generateContent",
        {"contents": contents, "tools": [{"functionDeclarations": [{"name": "f"}]}]},
        key=key.text,
    )
    assert answer.status == 200, answer.body
    sent = fake.calls()[-1].body["contents"][1]["parts"][0]
    assert sent["thoughtSignature"] == STAND_IN


async def test_where_the_stand_in_is_refused_too_the_client_hears_it(edge, fake, lent, key):
    fake.signatures.takes_stand_ins = False
    answer = await edge.chat(
        key.text, "gemini-3-flash-preview", messages=history("Zm9yZWlnbg=="), tools=[TOOL]
    )
    assert answer.status == 400
    assert "signature" in answer.json["error"]["message"]
    assert len(fake.calls()) == 2


async def test_a_repair_is_made_where_nothing_else_is_tried_twice(edge, fake, lent, key):
    edge.runtime.relay._config = msgspec.structs.replace(edge.runtime.config, max_attempts=1)
    fake.takes_json_schema = False
    assert (await edge.chat(key.text, tools=[TOOL])).status == 200
    assert len(fake.calls()) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstream_that_knows_no_json_schema_gets_the_older_form(
    edge, fake, lent, key, stream
):
    fake.takes_json_schema = False
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": TOOL["function"]["parameters"]},
    }
    answer = await edge.chat(
        key.text, "gemini-3-flash-preview", tools=[TOOL], response_format=wanted, stream=stream
    )
    assert answer.status == 200, answer.body
    sent = fake.calls()[-1].body
    assert sent["tools"][0]["functionDeclarations"][0]["parameters"]["type"] == "OBJECT"
    assert sent["generationConfig"]["responseSchema"]["type"] == "OBJECT"
    assert (await edge.receipt(answer)).state == "settled"


async def test_an_upstream_that_knows_no_json_schema_is_not_asked_again_with_it(
    edge, fake, lent, key
):
    fake.takes_json_schema = False
    answers = [await edge.chat(key.text, tools=[TOOL]) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [seen.status for seen in fake.calls()] == [400, 200, 200, 200]
    log = await edge.log(answers[-1])
    assert any("older form" in note for note in log.dropped)
    # Another model may be another matter.
    assert (await edge.chat(key.text, "gemini-3-flash-preview", tools=[TOOL])).status == 200
    assert [seen.status for seen in fake.calls()[4:]] == [400, 200]


def test_only_an_unknown_field_is_remembered():
    assert knows_no_json_schema(SCHEMA)
    assert not knows_no_json_schema(refused("The JSON schema of tools[0] is too deep."))


async def test_a_model_that_does_not_continue_itself_is_asked_to(edge, fake, lent, key):
    answer = await edge.post(
        "/v1beta/models/gemini-3.8-flash:generateContent",
        {"contents": [USER, model({"text": "Once upon"})]},
        key=key.text,
    )
    assert answer.status == 200, answer.body
    assert [seen.status for seen in fake.calls()] == [400, 200]
    assert fake.calls()[-1].body["contents"][-1]["role"] == "user"
