import pytest

from apiproxy.dialects.schema import clean, note, parameters, takes_nothing
from gateway.lib.errors import InvalidRequest
from tests.apiproxy.dialects.schemas import accepted

STRING = {"type": "string"}


def prop(schema):
    """The schema as it stands in an object, with its notes."""
    dropped = []
    made = clean({"type": "object", "properties": {"a": schema}}, "p", dropped)
    return made["properties"]["a"], [text.removeprefix("p.properties.a: ") for text in dropped]


def test_noise_goes_at_every_depth():
    noise = {"$schema": "s", "$comment": "c", "strict": True, "x-order": 1}
    schema = {
        **noise,
        "type": "object",
        "properties": {"a": {**noise, "type": "array", "items": {**noise, "type": "string"}}},
        "anyOf": [{**noise, "type": "object", "title": "A"}, {**noise, "type": "null"}],
        "additionalProperties": {**noise, "type": "number"},
    }
    dropped = []
    assert clean(schema, "p", dropped) == {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "string"}}},
        "anyOf": [{"type": "object", "title": "A"}, {"type": "null"}],
        "additionalProperties": {"type": "number"},
    }
    assert dropped == []


def test_properties_and_values_that_look_like_keywords_stay():
    schema = {
        "type": "object",
        "properties": {
            "strict": {"type": "boolean"},
            "$schema": {"type": "string"},
            "x-id": {"type": "string"},
            "default": {"type": "string"},
            "items": {"type": "string", "enum": ["strict"], "default": {"$schema": "kept"}},
        },
        "required": ["strict", "$schema", "x-id"],
    }
    assert clean(schema, "p") == schema


@pytest.mark.parametrize(
    ("written", "sent", "noted"),
    [
        (True, {}, []),
        ({}, {}, []),
        ({"type": "STRING"}, STRING, []),
        ({"type": ["string"]}, STRING, []),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}, []),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}, []),
        ({"type": "wizard"}, {}, ["type 'wizard' is not a type"]),
        ({"type": "any", "title": "A"}, {"title": "A"}, []),
        ({"const": "x"}, {"type": "string", "enum": ["x"]}, []),
        ({"const": None}, {"type": "null"}, []),
        ({"const": True}, {"type": "boolean", "description": "(const: true)"}, None),
        ({"enum": [True, False]}, {"type": "boolean"}, []),
        ({"enum": ["a", "a", None]}, {"type": ["string", "null"], "enum": ["a"]}, []),
        ({"enum": [1, 2.5]}, {"type": "number", "enum": [1, 2.5]}, []),
        ({"enum": []}, {}, []),
        ({"const": "a", "enum": ["a", "b"]}, {"type": "string", "enum": ["a"]}, []),
        ({"enum": ["a", "b"], "const": "a"}, {"type": "string", "enum": ["a"]}, []),
        ({"items": [STRING]}, {"type": "array", "prefixItems": [STRING]}, []),
        (
            {"items": [STRING], "additionalItems": {"type": "null"}},
            {"type": "array", "prefixItems": [STRING], "items": {"type": "null"}},
            [],
        ),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}, []),
        (
            {"type": "integer", "maximum": 9, "exclusiveMaximum": True},
            {"type": "integer", "maximum": 8},
            [],
        ),
        (
            {"type": "number", "exclusiveMinimum": 0, "description": "D."},
            {"type": "number", "minimum": 0, "description": "D. (exclusiveMinimum: 0)"},
            ["exclusiveMinimum 0 is not enforced"],
        ),
        (
            {"type": "number", "minimum": 5, "exclusiveMinimum": False},
            {"type": "number", "minimum": 5},
            [],
        ),
        ({"type": "string", "minLength": "3"}, {"type": "string", "minLength": 3}, []),
        ({"type": "string", "maxLength": -1}, STRING, ["maxLength -1 is not enforced"]),
        # As a double it is one more, which is no int64.
        (
            {"type": "string", "maxLength": 2**63 - 1},
            {"type": "string", "maxLength": 2**53 - 1},
            [],
        ),
        (
            {"type": "number", "maximum": "many"},
            {"type": "number"},
            ['maximum "many" is not enforced'],
        ),
        ({"type": "array", "uniqueItems": False}, {"type": "array"}, []),
        ({"type": "object", "propertyNames": STRING}, {"type": "object"}, []),
        ({"oneOf": [STRING, {"type": "null"}]}, {"anyOf": [STRING, {"type": "null"}]}, []),
        ({"anyOf": [{"type": "integer"}]}, {"type": "integer"}, []),
        ({"anyOf": [{}, {"type": "null"}]}, {}, []),
        (
            {"type": "string", "format": "email", "description": None},
            {"type": "string", "format": "email"},
            [],
        ),
        (
            {"type": "object", "properties": {"b": {"type": "string", "required": True}}},
            {"type": "object", "properties": {"b": STRING}, "required": ["b"]},
            [],
        ),
    ],
)
def test_what_becomes_of_a_schema(written, sent, noted):
    made, dropped = prop(written)
    assert made == sent
    if noted is not None:
        assert dropped == noted


def test_a_reference_takes_its_neighbours_along():
    schema = {
        "$defs": {"C": {"type": "string", "enum": ["r", "g"], "description": "A colour"}},
        "type": "object",
        "properties": {
            "plain": {"$ref": "#/$defs/C"},
            "said": {"$ref": "#/$defs/C", "description": "Of the roof", "default": "r"},
        },
    }
    colour = {"type": "string", "enum": ["r", "g"], "description": "A colour"}
    made = clean(schema, "p")
    assert made["$defs"] == {"C": colour}
    assert made["properties"] == {
        "plain": {"$ref": "#/$defs/C"},
        "said": {**colour, "description": "Of the roof", "default": "r"},
    }


def test_a_large_definition_is_not_copied():
    large = {"type": "string", "enum": [f"choice {n}" for n in range(1000)]}
    schema = {
        "definitions": {"L": large},
        "properties": {f"p{n}": {"$ref": "#/definitions/L", "title": str(n)} for n in range(50)},
    }
    made = clean(schema, "p")
    assert made["properties"]["p7"] == {"anyOf": [{"$ref": "#/$defs/L"}], "title": "7"}
    assert made["$defs"] == {"L": large}


def test_halves_become_one():
    schema = {
        "$defs": {"Base": {"properties": {"id": {"type": "number"}}, "required": ["id"]}},
        "allOf": [
            {"$ref": "#/$defs/Base"},
            {"properties": {"id": {"type": "integer", "minimum": 1}, "n": {"maxLength": 5}}},
            {"properties": {"n": {"maxLength": 3}}, "required": ["n"], "title": "T"},
        ],
        "title": "Mine",
    }
    assert clean(schema, "p") == {
        "type": "object",
        "title": "Mine",
        "properties": {"id": {"type": "integer", "minimum": 1}, "n": {"maxLength": 3}},
        "required": ["id", "n"],
    }


@pytest.mark.parametrize(
    ("first", "second", "merged", "noted"),
    [
        (
            {"type": "string", "format": "uri"},
            {"format": "email"},
            {"type": "string", "format": "email"},
            ['format "uri" is not enforced'],
        ),
        (
            {"prefixItems": [STRING]},
            {"prefixItems": [{"type": "number"}]},
            {"type": "array", "prefixItems": [{"type": "number"}]},
            ['prefixItems [{"type":"string"}] is not enforced'],
        ),
        (STRING, {"type": "number"}, {"type": "number"}, ['type "string" is not enforced']),
        (
            {"enum": ["a"]},
            {"enum": ["b"]},
            {"type": "string", "enum": ["b"]},
            ['enum ["a"] is not enforced'],
        ),
        (
            {"type": "object", "additionalProperties": {"type": "number"}},
            {"additionalProperties": {"type": "integer"}},
            {"type": "object", "additionalProperties": {"type": "integer"}},
            [],
        ),
        (
            {"type": "object", "additionalProperties": STRING},
            {"additionalProperties": True},
            {"type": "object", "additionalProperties": STRING},
            [],
        ),
        (
            {"type": "object", "additionalProperties": False},
            {"additionalProperties": STRING},
            {"type": "object", "additionalProperties": False},
            [],
        ),
    ],
)
def test_of_halves_that_contradict_each_other_nothing_is_lost_unsaid(first, second, merged, noted):
    assert prop({"allOf": [first, second]}) == (merged, noted)


def test_a_definition_that_needs_itself_can_do_without():
    schema = {
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {"properties": {"next": {"$ref": "#/$defs/List"}}, "required": ["next"]},
            "List": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
        },
    }
    dropped = []
    made = clean(schema, "p", dropped)
    accepted(config={"responseJsonSchema": made})
    assert "required" not in made["$defs"]["Node"]
    assert dropped == ["p.$defs.Node: required 'next' is not enforced: it leads back here"]


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        (5, "p"),
        ("x", "p"),
        ({"properties": 5}, "p.properties"),
        ({"properties": {"a": 5}}, "p.properties.a"),
        ({"properties": {"a": {"enum": "x"}}}, "p.properties.a.enum"),
        ({"required": "x"}, "p.required"),
        ({"items": 5}, "p.items"),
        ({"allOf": {}}, "p.allOf"),
        ({"anyOf": [{"oneOf": 5}]}, "p.anyOf[0].oneOf"),
        ({"description": 5}, "p.description"),
        ({"type": [5]}, "p.type"),
        ({"$ref": 5}, "p.$ref"),
        ({"$ref": "#/definitions/A", "definitions": {"A": {"type": 5}}}, "p.definitions.A.type"),
    ],
)
def test_what_is_no_schema_is_named(schema, param):
    with pytest.raises(InvalidRequest) as refused:
        clean(schema, "p")
    assert refused.value.param == param


def nested(levels):
    schema = STRING
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def test_depth_is_limited():
    assert clean(nested(50), "p") == nested(50)
    for levels in (61, 500):
        with pytest.raises(InvalidRequest, match="nested"):
            clean(nested(levels), "p")


def test_references_that_multiply_do_not():
    """Each definition holds the one before twice: written out it would be 2**40 of them."""
    definitions = {"D0": STRING}
    for n in range(1, 40):
        inner = {"$ref": f"#/$defs/D{n - 1}", "title": "t"}
        definitions[f"D{n}"] = {"type": "object", "properties": {"a": inner, "b": inner}}
    made = clean({"$ref": "#/$defs/D39", "$defs": definitions}, "p")
    assert len(str(made)) < 200_000


def test_a_long_chain_of_definitions():
    definitions = {
        f"D{n}": {"properties": {"a": {"$ref": f"#/$defs/D{n + 1}"}}} for n in range(3000)
    }
    made = clean({"$ref": "#/$defs/D0", "$defs": {**definitions, "D3000": STRING}}, "p")
    assert len(made["$defs"]) == 3000
    accepted(config={"responseJsonSchema": made})


def test_too_many_schemas_are_refused():
    with pytest.raises(InvalidRequest, match="10000"):
        clean({"anyOf": [STRING] * 10_001}, "p")


def test_halves_that_require_ever_more_are_refused():
    """Joined one after the other, a million names would take minutes."""
    halves = [{"required": [f"r{n}_{name}" for name in range(200)]} for n in range(5000)]
    with pytest.raises(InvalidRequest, match="required names"):
        clean({"allOf": halves}, "p")


def test_notes_are_bounded():
    dropped = []
    clean({"properties": {str(n): {"multipleOf": 5} for n in range(500)}}, "p", dropped)
    assert len(dropped) == 41
    assert dropped[-1] == "… and more"
    note(dropped, "another")
    assert len(dropped) == 41


def test_the_same_schema_again_says_the_same():
    for at in ("p", "q"):
        dropped = []
        clean({"properties": {"a": {"multipleOf": 5}}}, at, dropped)
        assert dropped == [f"{at}.properties.a: multipleOf 5 is not enforced"]


def test_arguments_are_an_object():
    assert parameters({}, "p") is None
    assert parameters({"type": "object", "properties": {}}, "p") is None
    assert parameters({"properties": {"a": STRING}}, "p")["type"] == "object"
    assert (
        parameters({"type": ["object", "null"], "properties": {"a": {}}}, "p")["type"] == "object"
    )
    for schema in (STRING, {"type": "array", "items": {}}, {"anyOf": [STRING, {"type": "null"}]}):
        with pytest.raises(InvalidRequest, match="object"):
            parameters(schema, "p")


def test_a_choice_of_arguments_becomes_one_object():
    schema = {
        "anyOf": [
            {"properties": {"k": {"const": "a"}, "x": STRING}, "required": ["k", "x"]},
            {"properties": {"k": {"const": "b"}, "x": {"type": "number"}}, "required": ["k"]},
        ]
    }
    dropped = []
    assert parameters(schema, "p", dropped) == {
        "type": "object",
        "properties": {
            "k": {"type": "string", "enum": ["a", "b"]},
            "x": {"anyOf": [STRING, {"type": "number"}]},
        },
        "required": ["k"],
    }
    assert len(dropped) == 1


def test_which_declarations_go_without_parameters():
    assert takes_nothing({})
    assert takes_nothing({"type": "object", "properties": {}, "additionalProperties": False})
    assert not takes_nothing({"type": "object", "properties": {"a": {}}})
    assert not takes_nothing({"type": "object", "additionalProperties": {"type": "string"}})
    # A record of anything, as generators of schemas write it.
    assert not takes_nothing({"type": "object", "additionalProperties": {}})


def test_long_enumerations_are_compared_in_linear_time():
    """Each with each they would be ten thousand million comparisons."""
    long = {"enum": [f"choice {n}" for n in range(100_000)]}
    assert clean({"allOf": [long, long]}, "p")["enum"] == long["enum"]
