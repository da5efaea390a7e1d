"""JSON Schema as clients write it -> what `parametersJsonSchema` and `responseJsonSchema` accept (reference 3.3).

Both upstreams take these two fields today; that Code Assist takes them for every model is not verified (reference 9).
Only schemas are cleaned: a property that happens to be named `strict` or `$schema`, and values under `default`, `enum`
or `const`, are the client's own and stay.
"""

from __future__ import annotations

from typing import Any

from apiproxy.dialects.fields import wrong
from apiproxy.wire.types import Json

_MAX_DEPTH = 100

_DROPPED = frozenset({"$schema", "$comment", "strict"})
_NAMED_SCHEMAS = frozenset(
    {"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"}
)
_LISTED_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE_SCHEMAS = frozenset(
    {
        "items",
        "additionalProperties",
        "additionalItems",
        "unevaluatedProperties",
        "unevaluatedItems",
        "contains",
        "propertyNames",
        "not",
        "if",
        "then",
        "else",
    }
)


def clean(schema: Any, at: str, depth: int = 0) -> Json:
    """Raises InvalidRequest for anything that is not a schema object, or nests beyond reason."""
    if schema is True:
        return {}
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        raise wrong(at, schema, f"a JSON Schema object, nested at most {_MAX_DEPTH} deep")
    cleaned: Json = {}
    for key, value in schema.items():
        if key not in _DROPPED and not key.startswith("x-"):
            _take(cleaned, key, value, f"{at}.{key}", depth + 1)
    return cleaned


def _take(cleaned: Json, key: str, value: Any, at: str, depth: int) -> None:
    if key in _NAMED_SCHEMAS and isinstance(value, dict):
        # Google resolves "$defs" only.
        target = "$defs" if key == "definitions" else key
        schemas = {name: clean(item, f"{at}.{name}", depth) for name, item in value.items()}
        cleaned[target] = {**cleaned.get(target, {}), **schemas}
    elif key in _LISTED_SCHEMAS and isinstance(value, list):
        cleaned[key] = _clean_each(value, at, depth)
    elif key == "items" and isinstance(value, list):
        cleaned["prefixItems"] = _clean_each(value, at, depth)
    elif key in _SINGLE_SCHEMAS and isinstance(value, dict):
        cleaned[key] = clean(value, at, depth)
    elif key == "$ref" and isinstance(value, str) and value.startswith("#/definitions/"):
        cleaned[key] = "#/$defs/" + value.removeprefix("#/definitions/")
    else:
        cleaned[key] = value


def _clean_each(schemas: list[Any], at: str, depth: int) -> list[Json]:
    return [clean(item, f"{at}[{number}]", depth) for number, item in enumerate(schemas)]


def takes_nothing(schema: Json) -> bool:
    """An object without properties: such a declaration goes without parameters."""
    return (
        schema.get("type", "object") == "object"
        and not schema.keys() - {"type", "properties", "required", "additionalProperties"}
        and not schema.get("properties")
        and not schema.get("additionalProperties")
    )
