"""Cleaned JSON Schema (see `schema`) -> the subset of OpenAPI that `parameters` and `responseSchema` take: the fallback
for an upstream that refuses the JSON-Schema fields (reference 3.3). Whatever it cannot hold is told in the description.
"""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import schema_words as words
from apiproxy.dialects.schema_merge import merge
from apiproxy.wire import codec
from apiproxy.wire.types import Json

_MAX_DEPTH = 24
_MAX_UNROLLED = 2
"""How often a definition may stand inside itself."""
_MAX_BYTES = 500_000

_ANY_KEY = "key"
_FORMATS = {
    "string": frozenset({"enum", "date-time"}),
    "number": frozenset({"float", "double"}),
    "integer": frozenset({"int32", "int64"}),
}
_OF_ALL = ("title", "description", "default", "example")
_OF_TYPE = {
    "string": ("minLength", "maxLength", "pattern"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties", "propertyOrdering"),
}


def as_openapi(cleaned: Json) -> tuple[Json, list[str]]:
    """(the schema, what was lost)."""
    maker = _Maker(cleaned.get("$defs", {}))
    return maker.make(cleaned), maker.lost


class _Maker:
    def __init__(self, definitions: dict[str, Json]) -> None:
        self.lost: list[str] = []
        self._definitions = definitions
        self._open: list[str] = []
        self._depth = 0
        self._bytes = 0

    def make(self, schema: Json) -> Json:
        if (ref := schema.get("$ref")) is not None:
            return self._inlined(ref.rpartition("/")[2])
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                self.lost.append(f"what is nested deeper than {_MAX_DEPTH}")
                return {"type": "STRING", "description": "JSON"}
            return self._made(schema)
        finally:
            self._depth -= 1

    def _inlined(self, name: str) -> Json:
        definition = self._definitions[name]
        self._bytes += len(codec.encode(definition))
        if self._open.count(name) >= _MAX_UNROLLED or self._bytes > _MAX_BYTES:
            self.lost.append(f"{name} inside itself")
            return {"type": "STRING", "description": f"JSON of another {name}"}
        self._open.append(name)
        made = self.make(definition)
        self._open.pop()
        return made

    def _made(self, schema: Json) -> Json:
        kinds = schema.get("type", [])
        kinds = kinds if isinstance(kinds, list) else [kinds]
        choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
        nullable = "null" in kinds or len(choices) < len(schema.get("anyOf", ()))
        kinds = [kind for kind in kinds if kind != "null"]
        if choices:
            made = self._choice(schema, choices)
        elif len(kinds) > 1:
            made = self._choice(schema, [{"type": kind} for kind in kinds])
        elif not kinds and nullable:
            made = {"type": "NULL"}
            nullable = False
        else:
            made = self._typed(schema, kinds[0] if kinds else self._any_type())
        return {**made, "nullable": True} if nullable else made

    def _any_type(self) -> str:
        self.lost.append("what may be anything is a text")
        return "string"

    def _choice(self, schema: Json, choices: list[Json]) -> Json:
        """Vertex takes nothing beside `anyOf` (not verified), so each choice takes a copy of what stood there."""
        beside = {key: value for key, value in schema.items() if key not in ("anyOf", "$defs")}
        if len(choices) > 1 and isinstance(beside.get("type"), list):
            del beside["type"]
        made = [self._with(choice, beside) if beside else self.make(choice) for choice in choices]
        return made[0] if len(made) == 1 else {"anyOf": made}

    def _with(self, choice: Json, beside: Json) -> Json:
        self._bytes += len(codec.encode(beside))
        if self._bytes > _MAX_BYTES:
            return self.make(choice)
        said = [text for half in (beside, choice) if (text := half.get("description"))]
        if "$ref" in choice:
            made = self.make(choice)
            said += [text for text in [made.get("description")] if text and text not in said]
        else:
            made = self.make(merge(beside, choice, lambda key, _: self.lost.append(key)))
        return {**made, "description": " ".join(said)} if said and "anyOf" not in made else made

    def _typed(self, schema: Json, kind: str) -> Json:
        made: Json = {key: schema[key] for key in _OF_ALL if key in schema}
        told: list[str] = []
        if "enum" in schema and kind in _FORMATS:
            if kind != "string":
                self.lost.append(f"{kind} of a list is written as text")
            kind = "string"
            made["enum"] = [_as_text(value) for value in schema["enum"]]
        made["type"] = kind.upper()
        made |= {key: schema[key] for key in _OF_TYPE.get(kind, ()) if key in schema}
        if (form := schema.get("format")) is not None:
            if form in _FORMATS.get(kind, ()):
                made["format"] = form
            else:
                told.append(words.told("format", form))
        if kind == "object":
            self._fill_object(made, schema, told)
        elif kind == "array":
            self._fill_array(made, schema, told)
        if told:
            said = f"({'; '.join(told)})"
            made["description"] = f"{made['description']} {said}" if "description" in made else said
        return made

    def _fill_object(self, made: Json, schema: Json, told: list[str]) -> None:
        properties = {
            name: self.make(inner) for name, inner in schema.get("properties", {}).items()
        }
        extra = schema.get("additionalProperties", True)
        if properties:
            made["properties"] = properties
            if isinstance(extra, dict):
                told.append("it may have other properties")
                self.lost.append("the type of additional properties")
            if (required := schema.get("required")) is not None:
                made["required"] = required
        else:
            # An object without properties is refused.
            made["properties"] = {_ANY_KEY: self.make(extra if isinstance(extra, dict) else {})}
            told.append(f"its keys are free; {_ANY_KEY!r} stands for one")

    def _fill_array(self, made: Json, schema: Json, told: list[str]) -> None:
        places = schema.get("prefixItems", [])
        if places:
            told.append(
                f"its first {len(places)} places have types of their own, in the order given"
            )
            self.lost.append("the order of prefixItems")
            rest = [schema["items"]] if "items" in schema else []
            kinds = {codec.encode(place): place for place in places}.values()
            made["items"] = self.make({"anyOf": [*kinds, *rest]})
        else:
            made["items"] = self.make(schema.get("items", {}))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else codec.encode(value).decode()
