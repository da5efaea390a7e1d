"""The recorded schemas, and what tests ask of a schema: the names in it, and whether it describes a value."""

import json
import math
import re
from pathlib import Path

from tests.fakes.google_generate import parse_public
from tests.fakes.google_models import PUBLIC_MODELS
from tests.fakes.google_rules import check_request
from tests.fakes.google_signatures import SignatureBook
from tests.fakes.google_turns import Scope

_FOLDER = Path(__file__).parent.parent / "schemas"
_SCHEMA_MAPS = ("properties", "patternProperties", "$defs", "definitions", "schemas", "components")
_KINDS = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and value == math.floor(value)
    ),
}


def recorded():
    """{"family/name": {schema, sample}}"""
    return {
        f"{path.stem}/{name}": case
        for path in sorted(_FOLDER.glob("*.json"))
        for name, case in json.loads(path.read_text(encoding="utf-8")).items()
    }


def names_of(schema):
    """Names of properties and texts of enumerations that stand at the schema or within it."""
    found = set()
    stack = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        if not isinstance(node, dict):
            continue
        for key, value in node.items():
            if key == "properties" and isinstance(value, dict):
                found.update(value)
            if key in _SCHEMA_MAPS and isinstance(value, dict):
                stack.extend(value.values())
            elif key == "enum" and isinstance(value, list):
                found.update(text for text in value if isinstance(text, str))
            elif key == "const" and isinstance(value, str):
                found.add(value)
            elif key not in ("default", "example", "examples", "enum", "const"):
                stack.append(value)
    return found


def describes(schema, value, definitions=None):
    """Whether the value fits, by the words that Google's schemas have; upper-case types and `nullable` included."""
    definitions = definitions or schema.get("$defs", {})
    if "$ref" in schema:
        return describes(definitions[schema["$ref"].removeprefix("#/$defs/")], value, definitions)
    if value is None and schema.get("nullable"):
        return True
    kinds = schema.get("type", [])
    kinds = [kind.lower() for kind in (kinds if isinstance(kinds, list) else [kinds])]
    if kinds and not any(_KINDS[kind](value) for kind in kinds):
        return False
    if value is None:
        return True
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "anyOf" in schema and not any(describes(s, value, definitions) for s in schema["anyOf"]):
        return False
    if isinstance(value, dict):
        return _describes_object(schema, value, definitions)
    if isinstance(value, list):
        places = schema.get("prefixItems", [])
        rest = schema.get("items", {})
        return schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf) and all(
            describes(places[n] if n < len(places) else rest, item, definitions)
            for n, item in enumerate(value)
        )
    if isinstance(value, str):
        return len(value) >= schema.get("minLength", 0) and bool(
            re.search(schema.get("pattern", ""), value)
        )
    return schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)


def _describes_object(schema, value, definitions):
    properties = schema.get("properties", {})
    extra = schema.get("additionalProperties", True)
    return set(schema.get("required", ())) <= set(value) and all(
        describes(properties[name], item, definitions)
        if name in properties
        else extra is True or (extra is not False and describes(extra, item, definitions))
        for name, item in value.items()
    )


def accepted(*, declaration=None, config=None, model="gemini-3-flash-preview"):
    """Raises Refused where Google would."""
    body = {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}
    if declaration is not None:
        body["tools"] = [{"functionDeclarations": [{"name": "f", **declaration}]}]
    if config is not None:
        body["generationConfig"] = {"responseMimeType": "application/json", **config}
    parsed = parse_public("GenerateContentRequest", json.loads(json.dumps(body)))
    scope = Scope(model=PUBLIC_MODELS[model], code_assist=False, signatures=SignatureBook())
    check_request(parsed, scope)
