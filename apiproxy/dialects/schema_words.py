"""The vocabulary of JSON Schema: what Google's two schema fields take, what can only be said in words, what is noise.

Reference 3.3. That the JSON-Schema fields really ignore every other keyword is not verified (reference 9), so none is
sent: a constraint that goes is written into the description, where the model reads it.
"""

from __future__ import annotations

from typing import Any

from apiproxy.wire import codec

TEXTS = frozenset({"title", "description", "pattern", "format"})
COUNTS = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
BOUNDS = frozenset({"minimum", "maximum"})
VALUES = frozenset({"default", "example"})

CONSTRAINTS = frozenset(
    {
        "multipleOf",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "propertyNames",
        "not",
        "if",
        "then",
        "else",
        "dependentRequired",
        "dependentSchemas",
        "dependencies",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
"""Told to the model, and noted: nothing enforces them upstream."""

REMARKS = frozenset({"examples", "deprecated", "readOnly", "writeOnly", "enumDescriptions"})
"""Told to the model; they enforce nothing anyway."""

NOISE = frozenset(
    {
        "$anchor",
        "$comment",
        "$defs",
        "$dynamicAnchor",
        "$id",
        "$recursiveAnchor",
        "$schema",
        "$vocabulary",
        "additionalItems",
        "components",
        "definitions",
        "discriminator",
        "enumNames",
        "externalDocs",
        "id",
        "markdownDescription",
        "optional",
        "strict",
        "xml",
    }
)
"""For validators, generators and pages; definitions are taken where something refers to them."""

_TYPES = {
    **{
        name: name for name in ("string", "number", "integer", "boolean", "array", "object", "null")
    },
    # What tools write that were made from Python, protobuf or prose.
    "str": "string",
    "text": "string",
    "int": "integer",
    "int32": "integer",
    "int64": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "decimal": "number",
    "bool": "boolean",
    "list": "array",
    "tuple": "array",
    "dict": "object",
    "map": "object",
    "none": "null",
}
_ANYTHING = frozenset({"any", "type_unspecified", "unknown", "mixed"})

_LONGEST_TOLD = 300
_LONGEST_NOTED = 60


def type_of(word: str) -> str | None:
    """The JSON Schema type; "" for one that means anything, None for one nobody knows."""
    word = word.strip().lower()
    return "" if word in _ANYTHING else _TYPES.get(word)


def told(keyword: str, value: Any) -> str:
    """A constraint as the description tells it."""
    return f"{keyword}: {_shown(value, _LONGEST_TOLD)}"


def noted(keyword: str, value: Any) -> str:
    return f"{keyword} {_shown(value, _LONGEST_NOTED)} is not enforced"


def _shown(value: Any, longest: int) -> str:
    text = codec.encode(value).decode()
    return text if len(text) <= longest else text[: longest - 1] + "…"
