"""What Google makes of the JSON-Schema fields: `parametersJsonSchema` and `responseJsonSchema`.

Keywords it does not know are ignored there; `KEYWORDS` are those it documents, for tests that want no others sent.
"""

from collections.abc import Iterator
from typing import Any

from tests.fakes.google_turns import Scope

Json = dict[str, Any]

KEYWORDS = frozenset(
    [
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "properties",
        "additionalProperties",
        "required",
        "propertyOrdering",
        "nullable",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "default",
        "example",
    ]
)
_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_MAPS = ("properties", "$defs")
_LISTS = ("anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties")
_PREFIX = "#/$defs/"


def check_json_schema(schema: Any, path: str, scope: Scope) -> None:
    if not isinstance(schema, dict):
        raise scope.complaint(path, "schema must be an object")
    definitions = schema.get("$defs", {})
    for inner, where in schemas_of(schema, path):
        _check_one(inner, where, definitions, scope)
    for name in definitions:
        if _needs_itself(name, definitions):
            text = f"reference to {name} is cyclic and not within a non-required property"
            raise scope.complaint(path, text)


def schemas_of(schema: Json, path: str = "") -> Iterator[tuple[Any, str]]:
    """The schema and all within it, with their paths."""
    stack: list[tuple[Any, str]] = [(schema, path)]
    while stack:
        node, where = stack.pop()
        yield node, where
        if not isinstance(node, dict):
            continue
        for key in _MAPS:
            if isinstance(inner := node.get(key), dict):
                stack.extend((value, f"{where}.{key}[{name}]") for name, value in inner.items())
        for key in _LISTS:
            if isinstance(inner := node.get(key), list):
                stack.extend((value, f"{where}.{key}[{n}]") for n, value in enumerate(inner))
        single = [key for key in _SINGLE if not isinstance(node.get(key, True), bool)]
        stack.extend((node[key], f"{where}.{key}") for key in single)


def _check_one(schema: Any, path: str, definitions: Json, scope: Scope) -> None:
    if not isinstance(schema, dict):
        raise scope.complaint(path, "schema must be an object")
    kinds = schema.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        # In upper case too: gemini-cli chooses a model for each task by such a schema.
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise scope.complaint(f"{path}.type", f"unknown type {kind!r}")
    if "$ref" in schema:
        ref = schema["$ref"]
        if not isinstance(ref, str) or ref.removeprefix(_PREFIX) not in definitions:
            raise scope.complaint(f"{path}.$ref", f"{ref!r} is not defined in $defs")
    if not isinstance(schema.get("enum", []), list) or any(
        isinstance(value, bool | dict | list) or value == "" for value in schema.get("enum", [])
    ):
        raise scope.complaint(f"{path}.enum", "must be a list of strings and numbers, none empty")
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise scope.complaint(f"{path}.required", "must be a list of strings")
    for key in _MAPS:
        if not isinstance(schema.get(key, {}), dict):
            raise scope.complaint(f"{path}.{key}", "must be an object")


def _needs_itself(start: str, definitions: Json) -> bool:
    """Whether an instance of the definition cannot be without another one inside."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in _needed(definitions.get(waiting.pop(), {})):
            if name == start:
                return True
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return False


def _needed(schema: Any) -> Iterator[str]:
    """Definitions referred to outside of properties that may be left out."""
    stack = [schema]
    while stack:
        node = stack.pop()
        if not isinstance(node, dict):
            continue
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(_PREFIX)
        properties = node.get("properties", {})
        stack.extend(properties[name] for name in node.get("required", []) if name in properties)
        for key in _LISTS:
            stack.extend(node.get(key, []))
        stack.extend(node[key] for key in _SINGLE if key in node)
