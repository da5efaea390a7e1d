"""Schemas in the styles of the tools that send them, brought to both targets and shown to the strict Google."""

import copy
import json

import pytest

from apiproxy.dialects import schema as schemas
from apiproxy.dialects.schema_openapi import as_openapi
from tests.apiproxy.dialects.schemas import accepted, describes, names_of, recorded
from tests.fakes.google_json_schema import KEYWORDS, schemas_of

RECORDED = recorded()
# What their authors wrote cannot be: nothing may have the property, no definition is there.
_SAYS_NOTHING = {"drafts/boolean_schemas": {"nothing"}}

every_schema = pytest.mark.parametrize("name", RECORDED)


def cleaned(name):
    dropped = []
    return schemas.clean(copy.deepcopy(RECORDED[name]["schema"]), "p", dropped), dropped


def test_there_are_many():
    assert len(RECORDED) >= 80


@every_schema
def test_google_takes_it_as_json_schema(name):
    made, _ = cleaned(name)
    accepted(config={"responseJsonSchema": made})
    for schema, where in schemas_of(made):
        assert schema.keys() <= KEYWORDS, where
        assert "$ref" not in schema or len(schema) == 1, where
    parameters = schemas.parameters(RECORDED[name]["schema"], "p")
    if parameters is not None:
        accepted(declaration={"parametersJsonSchema": parameters})


@every_schema
def test_google_takes_it_as_openapi(name):
    parameters = schemas.parameters(RECORDED[name]["schema"], "p")
    if parameters is not None:
        made, _ = as_openapi(parameters)
        accepted(declaration={"parameters": made})
        accepted(config={"responseSchema": made})


@every_schema
def test_what_was_valid_still_is(name):
    made, _ = cleaned(name)
    assert describes(made, RECORDED[name]["sample"])


@every_schema
def test_names_and_choices_survive(name):
    original = RECORDED[name]["schema"]
    made, _ = cleaned(name)
    parameters = schemas.parameters(original, "p") or {}
    openapi, _ = as_openapi(made)
    for target in (made, parameters, openapi):
        said = json.dumps(target, ensure_ascii=False)
        lost = {text for text in names_of(original) if text and text not in said}
        assert not lost or not target
    assert set(made.get("required", ())) <= set(original.get("required", made.get("required", ())))


@every_schema
def test_the_clients_schema_is_not_changed(name):
    original = RECORDED[name]["schema"]
    before = copy.deepcopy(original)
    schemas.parameters(original, "p")
    assert original == before


@every_schema
def test_cleaning_twice_changes_nothing(name):
    made, _ = cleaned(name)
    again = schemas.clean(copy.deepcopy(made), "p")
    assert {k: v for k, v in again.items() if k != "$defs"} == {
        k: v for k, v in made.items() if k != "$defs"
    }


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("mcp-playwright/browser_resize", "p.properties.width: multipleOf 1 is not enforced"),
        ("mcp-github/search_either", "p: anyOf [{"),
        ("drafts/draft_7_conditions", "p: if {"),
        ("drafts/dangling_references", "p.properties.a: $ref #/definitions/Gone leads nowhere"),
        ("drafts/without_types", "p: required names 'gone'"),
        ("n8n-and-flow-tools/n8n_dynamic", "p.properties.query: displayName is not understood"),
        ("pydantic/linked_list_required", "p.$defs.Item: required 'next' is not enforced"),
        ("drafts/draft_2020_anchors", ""),
        ("coding-tools/claude_code_todo_write", ""),
        ("pydantic/nested_models", ""),
    ],
)
def test_every_loss_is_said(name, lost):
    _, dropped = cleaned(name)
    if lost:
        assert any(text.startswith(lost) for text in dropped), dropped
    else:
        assert dropped == []
