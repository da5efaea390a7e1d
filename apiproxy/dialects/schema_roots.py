"""The root of a function's schema: an object upstream, whatever the client wrote."""

from __future__ import annotations

from collections import deque

from apiproxy.dialects.schema_cleaner import Cleaner, NoSchema
from apiproxy.dialects.schema_merge import merge
from apiproxy.wire.types import Json


def as_object_schema(cleaned: Json, cleaner: Cleaner) -> Json:
    """A choice of objects (a union in the client's language) becomes one object with the properties of all."""
    kind = cleaned.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if kind is not None and "object" not in kinds:
        raise NoSchema("", cleaned, "a JSON Schema whose type is object")
    if "anyOf" in cleaned:
        rest = {key: value for key, value in cleaned.items() if key != "anyOf"}
        cleaned = merge(rest, _united(_objects(cleaned, cleaner), cleaner), cleaner.lose)
    return {**cleaned, "type": "object"}


def _objects(cleaned: Json, cleaner: Cleaner) -> list[Json]:
    """Those among the choices, and among the choices of choices."""
    found: list[Json] = []
    waiting, seen = deque([cleaned]), {id(cleaned)}
    while waiting:
        schema = waiting.popleft()
        for choice in schema.get("anyOf", ()):
            resolved = cleaner.resolved(choice)
            if id(resolved) not in seen:
                seen.add(id(resolved))
                waiting.append(resolved)
        if schema is not cleaned and schema.get("type", "object") == "object":
            found.append({key: value for key, value in schema.items() if key != "anyOf"})
    return found


def _united(objects: list[Json], cleaner: Cleaner) -> Json:
    if not any(schema.get("properties") for schema in objects):
        raise NoSchema("", objects, "a JSON Schema whose type is object")
    properties: Json = {}
    for schema in objects:
        for name, inner in schema.get("properties", {}).items():
            properties[name] = _either(properties[name], inner) if name in properties else inner
    united: Json = {"properties": properties}
    common = set.intersection(*(set(schema.get("required", ())) for schema in objects))
    if common:
        united["required"] = [name for name in properties if name in common]
    if len(objects) > 1:
        cleaner.note("a choice of objects became one: which properties go together is not enforced")
    return united


def _either(first: Json, second: Json) -> Json:
    """One property of several choices: their enumerations joined, or a choice again."""
    if first == second:
        return first
    if "enum" in first and "enum" in second and first.get("type") == second.get("type"):
        return {**second, **first, "enum": list(dict.fromkeys([*first["enum"], *second["enum"]]))}
    choices = first["anyOf"] if set(first) == {"anyOf"} else [first]
    return {"anyOf": choices if second in choices else [*choices, second]}
