"""Examples for every body of the OpenAPI document that nobody wrote one for, made of what the schema says of its fields. Pure.

What a serializer tells by hand (`extend_schema_serializer`) stays as it is.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_JSON = "application/json"
# By the name of a field, for fields of the same type.
_BY_NAME: dict[str, tuple[Any, ...]] = {
    "action": ("generate",),
    "actor": ("alice",),
    "allowed_models": ("*flash*",),
    "api_key": ("sk-Ab3xYz90QwEr…",),
    "auth_url": ("https://accounts.google.com/o/oauth2/v2/auth?…",),
    "claim_link": ("https://gateway.example/claim/…",),
    "code": ("W3lc0me…",),
    "created_by": ("alice",),
    "credits": ("5",),
    "description": ("Bob's laptop",),
    "dialect": ("openai-chat",),
    "display_name": ("Gemini 2.5 Flash",),
    "email": ("bob@example.org",),
    "error": ("",),
    "error_code": ("",),
    "features": ("search",),
    "group_name": ("Friends",),
    "hint": ("W3lc0m",),
    "hours": (24,),
    "id": (7, "Ab3xYz90QwEr"),
    "is_active": (True,),
    "key": ("sk-Ab3xYz90QwEr…",),
    "key_id": (17,),
    "kind": ("credentials.bulk",),
    "label": ("bob@example.org",),
    "link": ("https://gateway.example/…",),
    "max_uses": (1,),
    "message": ("Done.",),
    "model": ("gemini-2.5-flash",),
    "name": ("Friends",),
    "note": ("For the workshop.",),
    "notes": ("",),
    "owner": (2, "bob"),
    "owner_id": (2,),
    "owner_name": ("bob",),
    "project": ("bobs-project-123",),
    "provider": ("gemini_api",),
    "providers": ("gemini_api",),
    "quota": ("100",),
    "reason": ("For helping out.",),
    "remaining": ("58",),
    "request_id": ("req_abkbpligmodmemebgdaenjdoocpj",),
    "requested_model": ("gemini-2.5-flash-search",),
    "reserved": ("2",),
    "role": ("member",),
    "source": ("keys.txt",),
    "status": (200,),
    "tags": ("workshop",),
    "tariff": ("",),
    "text": ("From 06:00 to 07:00 UTC calls may be refused.",),
    "title": ("Maintenance on Sunday",),
    "total": ("100", 12),
    "used": ("40",),
    "username": ("bob",),
    "waited_ms": (0,),
}
_BY_FORMAT = {
    "date": "2026-11-20",
    "date-time": "2026-11-20T08:15:00Z",
    "decimal": "1",
    "uri": "https://gateway.example/",
    "uuid": "0c7a2f6e-58b1-4c39-9f0e-2d6f1b7a9e10",
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "string": str,
}
_DEEPEST = 8
"""A schema may hold itself."""


def with_examples(result: Json, **_: Any) -> Json:
    components = result["components"].get("schemas", {})
    for operations in result["paths"].values():
        for operation in operations.values():
            _tell(operation.get("requestBody", {}), components, asked=True)
            for status, response in operation["responses"].items():
                if status.startswith("2"):
                    _tell(response, components, asked=False)
    return result


def _tell(body: Json, components: Json, *, asked: bool) -> None:
    media = body.get("content", {}).get(_JSON, {})
    if "schema" in media and media.keys().isdisjoint(("example", "examples")):
        example = _Maker(components, asked=asked).of(media["schema"])
        # Of what may hold anything there is nothing to tell.
        if isinstance(example, dict | list) and example:
            media["example"] = example


class _Maker:
    """`asked`: for a request, which says what it has to, or all it could where that is nothing."""

    def __init__(self, components: Json, *, asked: bool) -> None:
        self._components = components
        self._asked = asked

    def of(self, schema: Json, name: str = "", depth: int = 0) -> Any:
        schema = self._whole(schema)
        if "example" in schema:
            return schema["example"]
        if schema.get("enum"):
            return self._chosen(schema, name)
        fitting = (one for one in _BY_NAME.get(name, ()) if _fits(one, schema))
        if (told := next(fitting, None)) is not None:
            return told
        if schema.get("default") is not None:
            return schema["default"]
        if schema.get("nullable"):
            return None
        match schema.get("type"):
            case "object":
                return {} if depth > _DEEPEST else self._object(schema, depth)
            case "array":
                # A list that lists itself comes to an end somewhere.
                items = schema.get("items", {})
                return [] if depth > _DEEPEST else [self.of(items, name, depth + 1)]
            case "string":
                return _BY_FORMAT.get(schema.get("format", ""), "…"[: schema.get("maxLength", 1)])
            case "boolean":
                return False
            case "integer" | "number":
                return max(schema.get("minimum", 0), 1)
        return {}

    def _object(self, schema: Json, depth: int) -> Json:
        fields = {
            name: field
            for name, field in schema.get("properties", {}).items()
            if not (self._asked and self._whole(field).get("readOnly"))
        }
        if self._asked:
            required = [name for name in schema.get("required", ()) if name in fields]
            fields = {name: fields[name] for name in required} or fields
        return {name: self.of(field, name, depth + 1) for name, field in fields.items()}

    def _chosen(self, schema: Json, name: str) -> Any:
        known = [one for one in _BY_NAME.get(name, ()) if one in schema["enum"]]
        return schema.get("default", (known or schema["enum"])[0])

    def _whole(self, schema: Json) -> Json:
        """With what it refers to; of several that it may be, the first."""
        for word in ("allOf", "oneOf", "anyOf"):
            if word in schema:
                rest = {name: value for name, value in schema.items() if name != word}
                return self._whole({**schema[word][0], **rest})
        if "$ref" in schema:
            rest = {name: value for name, value in schema.items() if name != "$ref"}
            component = schema["$ref"].rpartition("/")[2]
            return {**self._whole(self._components[component]), **rest}
        return schema


def _fits(value: Any, schema: Json) -> bool:
    wanted = _TYPES.get(schema.get("type", ""))
    if (
        wanted is None
        or not isinstance(value, wanted)
        or isinstance(value, bool) != (wanted is bool)
    ):
        return False
    return "format" not in schema or schema["format"] == "decimal" or not isinstance(value, str)
