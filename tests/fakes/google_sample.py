"""A value that satisfies a schema, in Google's dialect or in JSON Schema."""

from typing import Any

Json = dict[str, Any]

_FORMATS = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "ipv4": "192.0.2.1",
}


def sample(schema: Any, name: str = "value", root: Json | None = None, depth: int = 0) -> Any:
    """Deterministic; optional properties are filled too, down to a depth that ends recursion."""
    if not isinstance(schema, dict):
        return name
    root = schema if root is None else root
    if "$ref" in schema:
        return sample(_resolve(schema["$ref"], root), name, root, depth + 1)
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    if "allOf" in schema:
        merged = {**schema, "properties": dict(schema.get("properties", {})), "required": []}
        del merged["allOf"]
        for inner in schema["allOf"]:
            inner = _resolve(inner["$ref"], root) if "$ref" in inner else inner
            merged["properties"] |= inner.get("properties", {})
            merged["type"] = inner.get("type", merged.get("type", "object"))
        return sample(merged, name, root, depth)
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return sample(_first_real(schema[key]), name, root, depth)
    return _typed(schema, name, root, depth)


def _resolve(reference: str, root: Json) -> Any:
    node: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


def _first_real(choices: list[Any]) -> Any:
    real = [c for c in choices if not (isinstance(c, dict) and _kind(c) == "null")]
    return (real or choices)[0]


def _kind(schema: Json) -> str:
    kinds = schema.get("type", "")
    if isinstance(kinds, list):
        kinds = next((kind for kind in kinds if kind != "null"), "null")
    if not kinds:
        return "object" if "properties" in schema else "array" if "items" in schema else ""
    return str(kinds).lower()


def _typed(schema: Json, name: str, root: Json, depth: int) -> Any:
    kind = _kind(schema)
    if kind == "object":
        required = set(schema.get("required", []))
        return {
            key: sample(inner, key, root, depth + 1)
            for key, inner in schema.get("properties", {}).items()
            if key in required or depth < 4
        }
    if kind == "array":
        return _array(schema, name, root, depth)
    if kind in ("integer", "number"):
        return _number(schema, kind)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _text(schema, name)


def _array(schema: Json, name: str, root: Json, depth: int) -> list[Any]:
    prefix = [sample(inner, name, root, depth + 1) for inner in schema.get("prefixItems", [])]
    items = schema.get("items")
    least = int(schema.get("minItems", 0))
    count = max(least - len(prefix), 0 if prefix or depth >= 4 else 1)
    count = min(count, int(schema.get("maxItems", count)))
    return prefix + ([sample(items, name, root, depth + 1)] * count if items else [])


def _number(schema: Json, kind: str) -> float | int:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    value: float = 7 if kind == "integer" else 7.5
    if isinstance(low, int | float) and value <= low:
        value = low + (1 if high is None or low + 1 <= high else 0)
    if isinstance(high, int | float) and value >= high:
        value = high - 1 if low is None or high - 1 >= low else low
    step = schema.get("multipleOf")
    if step:
        value = step * max(1, round(value / step))
    return int(value) if kind == "integer" else float(value)


def _text(schema: Json, name: str) -> str:
    text = _FORMATS.get(schema.get("format", ""), f"some {name}")
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    text = text.ljust(least, "x")
    return text if most is None else text[: int(most)]
