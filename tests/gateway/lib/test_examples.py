"""Every body that the OpenAPI document describes has an example, and the example is such a body."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from drf_spectacular.generators import SchemaGenerator

from gateway.lib.examples import with_examples


@pytest.fixture(scope="module")
def document():
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]


def bodies(document):
    """(where, what describes it) of all that is JSON."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            parts = {"request": operation.get("requestBody", {}), **responses}
            for name, part in parts.items():
                media = part.get("content", {}).get("application/json")
                if media and (name == "request" or name.startswith("2")):
                    yield f"{method} {path} {name}", media


def plain(schema: Any) -> Any:
    """As JSON Schema, which knows no `nullable`."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    bare = {name: plain(inner) for name, inner in schema.items() if name != "nullable"}
    return {"anyOf": [bare, {"type": "null"}]} if schema.get("nullable") is True else bare


def may_hold_anything(schema, document):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema.get("type") not in ("object", "array") or (
        schema["type"] == "object" and not schema.get("properties")
    )


def test_every_body_has_an_example(document):
    without = [
        where
        for where, media in bodies(document)
        if media.keys().isdisjoint(("example", "examples"))
        and not may_hold_anything(media["schema"], document)
    ]
    assert without == []


def test_an_example_that_was_made_fits_its_schema(document):
    components = plain(document["components"])
    wrong = []
    for where, media in bodies(document):
        # What a client sends has no fields that only the server writes.
        if "example" in media and not where.endswith("request"):
            schema = {**plain(media["schema"]), "components": components}
            errors = jsonschema.Draft4Validator(schema).iter_errors(media["example"])
            wrong += [(where, error.message[:200]) for error in errors]
    assert wrong == []


def of(schema, *, request=False, **components):
    media = {"schema": schema}
    body = {"content": {"application/json": media}}
    operation = (
        {"responses": {"200": body}} if not request else {"responses": {}, "requestBody": body}
    )
    with_examples({"paths": {"/x": {"post": operation}}, "components": {"schemas": components}})
    return media.get("example")


def test_a_request_says_what_it_has_to_and_nothing_that_only_the_server_writes():
    name, number = {"type": "string"}, {"type": "integer", "minimum": 3}
    thing = {"type": "object", "properties": {"name": name, "count": number}}
    assert of(thing, request=True) == {"name": "Friends", "count": 3}
    assert of({**thing, "required": ["count"]}, request=True) == {"count": 3}
    read_only = {"id": {"type": "integer", "readOnly": True}, **thing["properties"]}
    assert of({**thing, "properties": read_only}, request=True) == {"name": "Friends", "count": 3}


def test_what_holds_itself_comes_to_an_end():
    tree = {"type": "object", "properties": {"inner": {"$ref": "#/components/schemas/Tree"}}}
    assert of({"$ref": "#/components/schemas/Tree"}, Tree=tree)["inner"]["inner"]


def test_what_was_told_by_hand_stays():
    media = {"schema": {"type": "object", "properties": {"a": {"type": "string"}}}, "examples": {}}
    operation = {"responses": {"200": {"content": {"application/json": media}}}}
    with_examples({"paths": {"/x": {"get": operation}}, "components": {}})
    assert "example" not in media
