from apiproxy.dialects.schema import clean, takes_nothing


def test_keywords_google_refuses_go_at_every_depth():
    noise = {"$schema": "s", "$comment": "c", "strict": True, "x-order": 1}
    schema = {
        **noise,
        "type": "object",
        "properties": {"a": {**noise, "type": "array", "items": {**noise, "type": "string"}}},
        "anyOf": [{**noise, "required": ["a"]}],
        "additionalProperties": {**noise, "type": "number"},
        "$defs": {"D": {**noise, "not": {**noise, "type": "null"}}},
    }
    assert clean(schema, "p") == {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "string"}}},
        "anyOf": [{"required": ["a"]}],
        "additionalProperties": {"type": "number"},
        "$defs": {"D": {"not": {"type": "null"}}},
    }


def test_properties_and_values_that_look_like_keywords_stay():
    schema = {
        "type": "object",
        "properties": {
            "strict": {"type": "boolean"},
            "$schema": {"type": "string"},
            "x-id": {"type": "string"},
            "default": {"type": "string"},
            "items": {"enum": ["strict"], "default": {"$schema": "kept", "strict": 1}},
        },
        "required": ["strict", "$schema", "x-id"],
    }
    assert clean(schema, "p") == schema


def test_the_clients_schema_is_not_changed():
    schema = {"definitions": {"A": {"strict": True}}}
    clean(schema, "p")
    assert schema == {"definitions": {"A": {"strict": True}}}


def test_old_drafts_are_brought_up_to_date():
    schema = {
        "$ref": "#/definitions/A",
        "definitions": {"A": {"items": [{"type": "string"}, {"type": "number"}]}},
        "$defs": {"B": {}},
    }
    assert clean(schema, "p") == {
        "$ref": "#/$defs/A",
        "$defs": {"A": {"prefixItems": [{"type": "string"}, {"type": "number"}]}, "B": {}},
    }


def test_true_is_a_schema_too():
    assert clean({"properties": {"a": True}}, "p") == {"properties": {"a": {}}}


def test_which_declarations_go_without_parameters():
    assert takes_nothing({})
    assert takes_nothing({"type": "object", "properties": {}, "additionalProperties": False})
    assert not takes_nothing({"type": "object", "properties": {"a": {}}})
    assert not takes_nothing({"type": "object", "additionalProperties": {"type": "string"}})
    assert not takes_nothing({"anyOf": []})
