"""Schemas nobody wrote: whatever comes in, Google takes what goes out, and no name is lost on the way."""

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from apiproxy.dialects import schema as schemas
from apiproxy.dialects.schema_openapi import as_openapi
from gateway.lib.errors import InvalidRequest
from tests.apiproxy.dialects.schemas import accepted
from tests.fakes.google_json_schema import KEYWORDS, schemas_of

NAMES = ["a", "b", "type", "default", "$ref", "名", "x-y", "required"]
REFS = ["#", "#/$defs/A", "#/$defs/B", "#/definitions/C", "#/properties/a", "#here", "#/no", "A"]
TYPES = [
    "string",
    "number",
    "integer",
    "boolean",
    "array",
    "object",
    "null",
    "STRING",
    "any",
    "odd",
]
VALUES = ["x", "y", "", 1, 2.5, True, None, [1], {"k": "v"}]
NUMBERS = [0, 1, 5, -1, 2.5, "3", "many", True, None]
SEEDS = st.integers(0, 2**64)


class Author:
    """Writes schemas by the dice: drawn from strategies of their own they would take a hundred times as long."""

    def __init__(self, seed):
        self._dice = random.Random(seed)
        self._left = 25

    def schema(self):
        self._left -= 1
        if self._dice.random() < 0.1:
            return self._dice.random() < 0.7
        chosen = self._dice.sample(list(self._writers()), self._dice.randint(0, 5))
        return {key: self._writers()[key]() for key in chosen}

    def _writers(self):
        pick = self._dice.choice
        return {
            "type": lambda: pick([pick(TYPES), self._some(TYPES)]),
            "$ref": lambda: pick(REFS),
            "properties": self.named,
            "required": lambda: pick([self._some(NAMES), True, False]),
            "items": lambda: pick([self._inner, self._listed])(),
            "prefixItems": self._listed,
            "additionalProperties": self._inner,
            "patternProperties": lambda: {"^x": self._inner()},
            "anyOf": self._listed,
            "oneOf": self._listed,
            "allOf": self._listed,
            "not": self._inner,
            "enum": lambda: self._some(VALUES),
            "const": lambda: pick(VALUES),
            "nullable": lambda: pick([True, False]),
            "minimum": lambda: pick(NUMBERS),
            "exclusiveMaximum": lambda: pick(NUMBERS),
            "maxLength": lambda: pick(NUMBERS),
            "multipleOf": lambda: pick(NUMBERS),
            "description": lambda: "said",
            "default": lambda: pick(VALUES),
            "format": lambda: pick(["email", "date-time", "int32"]),
            "$anchor": lambda: "here",
            "x-vendor": lambda: pick(VALUES),
        }

    def named(self):
        return {name: self._inner() for name in self._some(NAMES)}

    def document(self):
        root = {}
        while not root:
            root = self.schema()
            root = root if isinstance(root, dict) else {}
        definitions = {"A": self.schema(), "B": self.schema()}
        return {**root, "$defs": definitions, "definitions": {"C": self.schema()}}

    def _inner(self):
        return self.schema() if self._left > 0 else True

    def _listed(self):
        return [self._inner() for _ in range(self._dice.randint(0, 3))]

    def _some(self, values):
        return self._dice.sample(values, self._dice.randint(0, 3))


@settings(max_examples=300, deadline=None)
@given(SEEDS)
def test_google_takes_whatever_comes_out(seed):
    document = Author(seed).document()
    before = json.dumps(document)
    made = schemas.clean(document, "p", [])
    accepted(config={"responseJsonSchema": made})
    assert all(schema.keys() <= KEYWORDS for schema, _ in schemas_of(made))
    openapi, _ = as_openapi(made)
    accepted(config={"responseSchema": openapi})
    assert json.dumps(document) == before
    try:
        parameters = schemas.parameters(document, "p")
    except InvalidRequest:
        return
    if parameters is not None:
        accepted(declaration={"parametersJsonSchema": parameters})
        accepted(declaration={"parameters": as_openapi(parameters)[0]})


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.lists(st.sampled_from(NAMES)))
def test_the_properties_of_an_object_survive(seed, required):
    properties = Author(seed).named() or {"a": True}
    document = {"type": "object", "properties": properties, "required": required}
    made = schemas.parameters(document, "p")
    assert made["properties"].keys() == properties.keys()
    wanted = {name for name in required if name in properties}
    assert set(made.get("required", ())) >= wanted
    openapi, _ = as_openapi(made)
    assert openapi["properties"].keys() == properties.keys()
    assert set(openapi.get("required", ())) >= wanted
