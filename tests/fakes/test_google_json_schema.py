"""The JSON-Schema fields, and the switches that make the fake stricter."""

import re

import pytest

from tests.fakes.conftest import parts, said, turns
from tests.fakes.google_signatures import STAND_INS

STRING = {"type": "string"}
NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}


def offered(schema):
    return said(
        "a", tools=[{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]
    )


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "type object"),
        ({"properties": {"a": True}}, "must be an object"),
        ({"properties": {"a": {"type": "odd"}}}, "unknown type"),
        ({"properties": {"a": {"$ref": "#/definitions/A"}}}, "not defined in \\$defs"),
        ({"properties": {"a": {"enum": [True]}}}, "strings and numbers"),
        ({"properties": {"a": {"enum": ["a", ""]}}}, "none empty"),
        ({"properties": {"a": {"required": True}}}, "list of strings"),
        ({"properties": []}, "must be an object"),
        (
            {"$ref": "#/$defs/Node", "$defs": {"Node": {**NODE, "required": ["next"]}}},
            "cyclic",
        ),
        (
            {
                "$ref": "#/$defs/A",
                "$defs": {
                    "A": {"anyOf": [{"$ref": "#/$defs/B"}]},
                    "B": {"items": {"$ref": "#/$defs/A"}},
                },
            },
            "cyclic",
        ),
    ],
)
def test_refused(caller, schema, words):
    assert re.search(words, caller.refusal(offered(schema)))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}},
        {"properties": {"a": {"type": ["string", "null"], "multipleOf": 5, "x-odd": 1}}},
        {"properties": {"a": {"enum": ["a", 1]}}, "additionalProperties": False},
    ],
)
def test_accepted(caller, schema):
    assert caller.send(offered(schema)).status_code == 200


def test_an_upstream_that_does_not_know_the_fields(fake, caller):
    fake.takes_json_schema = False
    for body in (
        offered({"properties": {"a": STRING}}),
        said(
            "a",
            generationConfig={
                "responseMimeType": "application/json",
                "responseJsonSchema": STRING,
            },
        ),
    ):
        assert "JsonSchema" in caller.refusal(body)
    fake.reset(keep_credentials=True)
    assert caller.send(offered({"properties": {"a": STRING}})).status_code == 200


def test_stand_ins_can_be_refused(fake, caller):
    call = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": STAND_INS[0]}
    answer = {"functionResponse": {"name": "f", "response": {}}}
    history = turns(("user", {"text": "a"}), ("model", call), ("user", answer))
    model = "gemini-3-flash-preview"
    assert caller.send(history, model=model).status_code == 200
    fake.signatures.takes_stand_ins = False
    assert "Corrupted" in caller.refusal(history, model=model)


def test_some_models_do_not_continue_their_own_turn(caller):
    history = turns(("user", {"text": "a"}), ("model", {"text": "Once"}))
    assert parts(caller.answer(history))
    assert "ending with a model turn" in caller.refusal(history, model="gemini-3.8-flash")
