import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiproxy.providers.sandbox_schema import example


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (None, "Hi there"),
        ({}, "Hi there"),
        ({"type": "string"}, "Hi there"),
        ({"type": "STRING", "maxLength": "2"}, "Hi"),
        ({"type": "string", "minLength": 10}, "Hi there.."),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"type": "string", "format": ["x"]}, "Hi there"),
        ({"type": "string", "enum": ["red", "blue"]}, "red"),
        ({"const": 7}, 7),
        ({"type": "string", "default": "d"}, "d"),
        ({"type": ["null", "boolean"]}, True),
        ({"type": "null"}, None),
        ({"type": "INTEGER"}, 1),
        ({"type": "integer", "minimum": 5, "maximum": 9}, 5),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "exclusiveMinimum": 1}, 2),
        ({"type": "integer", "multipleOf": 7, "minimum": 10}, 14),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "number", "multipleOf": 0.5, "minimum": 2.2}, 2.5),
        ({"type": "array", "items": {"type": "boolean"}}, [True]),
        ({"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "3"}, [1, 1, 1]),
        ({"type": "array", "maxItems": 0}, []),
        ({"prefixItems": [{"type": "integer"}, {"type": "null"}], "maxItems": 2}, [1, None]),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}),
        ({"type": "object"}, {}),
        ({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 4}]}, 4),
        ({"oneOf": [{"type": "object"}, {"type": "boolean"}]}, True),
        (
            {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
            {"a": 1, "b": 2},
        ),
        ({"$ref": "#/$defs/A~1b", "$defs": {"A/b": {"const": "found"}}}, "found"),
        ({"$ref": "#/nowhere"}, "Hi there"),
    ],
)
def test_values_satisfy_their_schema(schema, value):
    assert example(schema, "Hi there") == value


def test_a_recursive_schema_ends_where_it_may():
    node = {
        "type": "object",
        "properties": {"value": {"type": "string"}, "next": {"$ref": "#/$defs/Node"}},
        "required": ["value"],
    }
    value = example({"$ref": "#/$defs/Node", "$defs": {"Node": node}}, "x")
    while "next" in value:
        assert value["value"] == "x"
        value = value["next"]
    assert value == {"value": "x"}


ENDLESS = [
    {"allOf": [{"$ref": "#"}]},
    {"$ref": "#"},
    {"anyOf": [{"$ref": "#"}]},
    {
        "$ref": "#/$defs/A",
        "$defs": {
            "A": {
                "properties": {name: {"$ref": "#/$defs/A"} for name in "abcdefgh"},
                "required": list("abcdefgh"),
            }
        },
    },
    {"type": "array", "minItems": 10**9, "items": {"$ref": "#"}},
    {"type": "string", "minLength": 10**12},
]


@pytest.mark.parametrize("schema", ENDLESS, ids=range(len(ENDLESS)))
def test_endless_schemas_end(schema):
    assert len(json.dumps(example(schema, "x"))) < 100_000


KEYWORDS = st.sampled_from(
    ["type", "properties", "required", "items", "enum", "anyOf", "allOf", "$ref", "minimum",
     "maximum", "multipleOf", "exclusiveMinimum", "minItems", "maxItems", "minLength", "maxLength",
     "format", "prefixItems"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["object", "array", "integer", "number", "string", "NaN", "inf", "#", "1e99"]
)
SCHEMAS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS | WORDS, inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(SCHEMAS)
def test_no_schema_raises(schema):
    example(schema, "x")
