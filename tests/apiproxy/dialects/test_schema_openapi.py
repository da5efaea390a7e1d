import pytest

from apiproxy.dialects.schema import clean
from apiproxy.dialects.schema_openapi import as_openapi
from tests.apiproxy.dialects.schemas import accepted

TEXT = {"type": "STRING"}


def openapi(schema):
    made, lost = as_openapi(clean(schema, "p"))
    accepted(config={"responseSchema": made})
    return made, lost


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ({"type": ["string", "null"]}, {**TEXT, "nullable": True}),
        ({"type": "null"}, {"type": "NULL"}),
        ({"type": ["string", "integer"]}, {"anyOf": [TEXT, {"type": "INTEGER"}]}),
        (
            {"type": ["string", "integer", "null"], "title": "T", "minLength": 1},
            {
                "anyOf": [
                    {"type": "STRING", "title": "T", "minLength": 1},
                    {"type": "INTEGER", "title": "T"},
                ],
                "nullable": True,
            },
        ),
        ({"const": "x"}, {**TEXT, "enum": ["x"]}),
        ({"enum": [1, 2]}, {**TEXT, "enum": ["1", "2"]}),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "D"},
            {**TEXT, "description": "D", "nullable": True},
        ),
        ({"type": "array"}, {"type": "ARRAY", "items": TEXT}),
        ({"type": "string", "format": "date-time"}, {**TEXT, "format": "date-time"}),
        ({"type": "string", "format": "uri"}, {**TEXT, "description": '(format: "uri")'}),
        ({"type": "integer", "format": "int64"}, {"type": "INTEGER", "format": "int64"}),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}, "description": "D"},
            {
                "type": "OBJECT",
                "properties": {"key": {"type": "INTEGER"}},
                "description": "D (its keys are free; 'key' stands for one)",
            },
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
            {"type": "OBJECT", "properties": {"a": TEXT}, "required": ["a"]},
        ),
        (
            {"prefixItems": [{"type": "string"}, {"type": "string"}], "minItems": 2},
            {
                "type": "ARRAY",
                "minItems": 2,
                "items": TEXT,
                "description": "(its first 2 places have types of their own, in the order given)",
            },
        ),
        ({"type": "string", "minimum": 5}, TEXT),
    ],
)
def test_what_becomes_of_a_schema(written, sent):
    assert openapi(written)[0] == sent


def test_references_are_written_out():
    schema = {
        "$defs": {"P": {"properties": {"x": {"type": "number"}}}},
        "properties": {"from": {"$ref": "#/$defs/P"}, "to": {"$ref": "#/$defs/P", "title": "To"}},
    }
    made, lost = openapi(schema)
    point = {"type": "OBJECT", "properties": {"x": {"type": "NUMBER"}}}
    assert made["properties"] == {"from": point, "to": {**point, "title": "To"}}
    assert lost == []


def test_a_cycle_ends_in_text():
    node = {"properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/N"}}}
    made, lost = openapi({"$defs": {"N": node}, "$ref": "#/$defs/N"})
    assert made["properties"]["next"]["properties"]["next"]["properties"]["next"] == {
        "type": "STRING",
        "description": "JSON of another N",
    }
    assert lost == ["N inside itself"]


def test_references_that_multiply_do_not():
    definitions = {"D0": {"type": "string"}}
    for n in range(1, 40):
        inner = {"$ref": f"#/$defs/D{n - 1}"}
        definitions[f"D{n}"] = {"type": "object", "properties": {"a": inner, "b": inner}}
    made, lost = openapi({"$ref": "#/$defs/D39", "$defs": definitions})
    assert len(str(made)) < 3_000_000
    assert lost


def test_words_of_a_choice_are_in_each_of_them():
    made, _ = openapi(
        {
            "description": "D.",
            "anyOf": [{"type": "string"}, {"type": "number", "description": "E."}],
        }
    )
    assert made == {
        "anyOf": [
            {"type": "STRING", "description": "D."},
            {"type": "NUMBER", "description": "D. E."},
        ]
    }
