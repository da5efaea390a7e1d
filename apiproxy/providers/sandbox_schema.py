"""A value that satisfies a schema, for the sandbox's JSON mode and tool calls.

Reads both dialects of reference 3.3: Gemini's own Schema (upper-case types, `nullable`) and JSON Schema (`$ref`,
`const`, `oneOf`, type lists). `pattern`, `not` and conditions are beyond it. Schemas come from clients: whatever they
hold, the work is bounded and nothing raises.
"""

from __future__ import annotations

import math
from typing import Any

Json = dict[str, Any]

_MAX_DEPTH = 6
_MAX_VALUES = 200
_MAX_ITEMS = 100
_MAX_CHARS = 10_000
_MAX_NUMBER = 1e15

_FORMATS = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example(schema: Any, text: str) -> Any:
    """`text` fills the strings that may hold anything."""
    return _Example(schema, text).value(schema, 0)


class _Example:
    def __init__(self, root: Any, text: str) -> None:
        self._root = root
        self._text = text
        self._made = 0

    def value(self, schema: Any, depth: int) -> Any:
        self._made += 1
        if not isinstance(schema, dict) or self._made > 4 * _MAX_VALUES or depth > 5 * _MAX_DEPTH:
            return self._text
        schema = self._resolved(schema, 0)
        for name in ("const", "default", "example"):
            if name in schema:
                return schema[name]
        if isinstance(choices := schema.get("enum"), list) and choices:
            return choices[0]
        match _kind(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer":
                return math.ceil(_number(schema))
            case "number":
                return _number(schema)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._string(schema)

    def _is_spent(self, depth: int) -> bool:
        """From here on only what is required is made, so that recursive schemas end."""
        return depth >= _MAX_DEPTH or self._made > _MAX_VALUES

    def _resolved(self, schema: Json, steps: int) -> Json:
        """With references followed, `allOf` merged, and one branch of a choice taken."""
        if steps > _MAX_DEPTH:
            return {}
        if isinstance(reference := schema.get("$ref"), str):
            return self._resolved(self._follow(reference), steps + 1)
        chosen = _objects(schema.get("allOf"))
        for name in ("anyOf", "oneOf"):
            chosen += _likeliest(_objects(schema.get(name)))
        if not chosen:
            return schema
        rest = {
            name: value for name, value in schema.items() if name not in ("allOf", "anyOf", "oneOf")
        }
        return _merged([rest, *(self._resolved(part, steps + 1) for part in chosen[:_MAX_DEPTH])])

    def _follow(self, reference: str) -> Json:
        """`#/$defs/Name`; {} for anything that is not there."""
        found: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def _object(self, schema: Json, depth: int) -> Json:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return {}
        names = list(properties)
        if self._is_spent(depth):
            required = schema.get("required")
            names = [name for name in names if isinstance(required, list) and name in required]
        return {name: self.value(properties[name], depth + 1) for name in names}

    def _array(self, schema: Json, depth: int) -> list[Any]:
        prefix = schema.get("prefixItems")
        items = [
            self.value(item, depth + 1)
            for item in (prefix[:_MAX_ITEMS] if isinstance(prefix, list) else [])
        ]
        least = _limit(schema, "minItems", 0)
        usual = 0 if self._is_spent(depth) else min(1, _limit(schema, "maxItems", 1))
        while len(items) < min(max(least, usual), _MAX_ITEMS):
            items.append(self.value(schema.get("items"), depth + 1))
        return items

    def _string(self, schema: Json) -> str:
        known = schema.get("format")
        if isinstance(known, str) and known in _FORMATS:
            return _FORMATS[known]
        least = int(min(_limit(schema, "minLength", 0), _MAX_CHARS))
        most = int(max(_limit(schema, "maxLength", _MAX_NUMBER), 0))
        return self._text.ljust(least, ".")[:most]


def _kind(schema: Json) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _number(schema: Json) -> int | float:
    """The allowed multiple of `multipleOf` that is nearest to 1; between close bounds, what lies in the middle."""
    low, high = _limit(schema, "minimum", -_MAX_NUMBER), _limit(schema, "maximum", _MAX_NUMBER)
    above = _limit(schema, "exclusiveMinimum", -math.inf)
    below = _limit(schema, "exclusiveMaximum", math.inf)
    step = _limit(schema, "multipleOf", 1)
    step = step if step > 1e-9 else 1.0
    bottom, top = math.ceil(max(low, above) / step), math.floor(min(high, below) / step)
    between = (max(low, above) + min(high, below)) / 2
    tries = (n * step for n in (max(1 / step, 1) // 1, bottom, bottom + 1, top, top - 1))
    fitting = [n for n in tries if low <= n <= high and above < n < below]
    value = min(fitting, key=lambda n: abs(n - 1), default=between)
    return int(value) if value == int(value) else value


def _limit(schema: Json, name: str, default: float) -> float:
    """Gemini's Schema writes int64 limits as text. What is no sensible number counts as absent."""
    try:
        value = float(schema[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        return default
    return value if abs(value) <= _MAX_NUMBER else default


def _objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _likeliest(branches: list[Json]) -> list[Json]:
    """The branch that says most simply what is wanted: no null, and no reference that may come round again."""
    plain = (b for b in branches if "$ref" not in b and _kind(b) not in ("object", "array", "null"))
    some = (b for b in branches if _kind(b) != "null")
    chosen = next(plain, None) or next(some, None)
    return [chosen] if chosen is not None else branches[:1]


def _merged(schemas: list[Json]) -> Json:
    merged: Json = {}
    for schema in schemas:
        for name, value in schema.items():
            before = merged.get(name)
            if name == "properties" and isinstance(before, dict) and isinstance(value, dict):
                merged[name] = {**before, **value}
            elif name == "required" and isinstance(before, list) and isinstance(value, list):
                merged[name] = [*before, *value]
            else:
                merged[name] = value
    return merged
