"""Two cleaned schemas that must both hold -> one: how `allOf` and the neighbours of a `$ref` are said upstream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiproxy.wire.types import Json

Lose = Callable[[str, Any], None]
"""(keyword, value) that the merged schema cannot hold."""


def merge(first: Json, second: Json, lose: Lose) -> Json:
    """Words of `second` win, limits are the tighter ones."""
    if not first or not second:
        return {**first, **second}
    merged = {**first, **second}
    for key in first.keys() & second.keys():
        a, b = first[key], second[key]
        if key == "properties":
            merged[key] = _properties(a, b, lose)
        elif key == "required":
            merged[key] = list(dict.fromkeys([*a, *b]))
        elif key == "type":
            merged[key] = _types(a, b, lose)
        elif key == "enum":
            merged[key] = common_choices(a, b, lose)
        elif key == "additionalProperties":
            merged[key] = _additional(a, b, lose)
        elif key == "items":
            merged[key] = _both(a, b, lose)
        elif key in ("minimum", "minLength", "minItems", "minProperties"):
            merged[key] = max(a, b)
        elif key in ("maximum", "maxLength", "maxItems", "maxProperties"):
            merged[key] = min(a, b)
        elif key in ("anyOf", "format", "pattern", "prefixItems", "$ref") and a != b:
            lose(key, a)
    _settle_closed(merged, first, second)
    return merged


def _properties(first: Json, second: Json, lose: Lose) -> Json:
    return {
        **first,
        **{
            name: _both(first[name], schema, lose) if name in first else schema
            for name, schema in second.items()
        },
    }


def _both(first: Json, second: Json, lose: Lose) -> Json:
    """A reference takes no neighbours, so the later one of two that differ wins."""
    if "$ref" not in first and "$ref" not in second:
        return merge(first, second, lose)
    if first and second and first != second:
        lose("allOf", first)
    return second or first


def _additional(first: Json | bool, second: Json | bool, lose: Lose) -> Json | bool:
    """What one half forbids or describes holds, whatever the other allows."""
    if isinstance(first, dict) and isinstance(second, dict):
        return _both(first, second, lose)
    if first is False or second is False:
        return False
    return second if first is True else first


def common_choices(first: list[Any], second: list[Any], lose: Lose) -> list[Any]:
    """Values that both enumerations hold; those of the second where they have none in common."""
    allowed = set(first)
    common = [value for value in second if value in allowed]
    if not common:
        lose("enum", first)
    return common or second


def _types(first: Any, second: Any, lose: Lose) -> Any:
    ours = first if isinstance(first, list) else [first]
    theirs = second if isinstance(second, list) else [second]
    if "number" in ours and "integer" in theirs:
        ours = [*ours, "integer"]
    if "number" in theirs and "integer" in ours:
        theirs = [*theirs, "integer"]
    common = [name for name in theirs if name in ours]
    if "integer" in common and "number" in common:
        common.remove("number")
    if not common:
        lose("type", first)
        return second
    return common[0] if len(common) == 1 else common


def _settle_closed(merged: Json, first: Json, second: Json) -> None:
    """`additionalProperties: false` of one half would shut out what the other one brings."""
    if merged.get("additionalProperties") is False and (
        first.get("properties") and second.get("properties")
    ):
        del merged["additionalProperties"]
