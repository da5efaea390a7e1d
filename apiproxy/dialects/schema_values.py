"""The values that keywords hold: numbers as clients write them, and what of an enumeration can be enumerated upstream."""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct


class Choices(Struct, frozen=True):
    kept: list[str | int | float]
    """Texts and numbers; the upstream takes nothing else, and no empty text."""
    types: list[str]
    """Of what is kept, where the schema names no type itself."""
    nullable: bool
    whole: bool
    """Nothing was left out but null, which is a type, and both booleans, which are one."""


def choices_of(values: list[Any]) -> Choices:
    flags = {value for value in values if isinstance(value, bool)}
    if any(isinstance(value, dict | list) for value in values):
        return Choices([], [], nullable=False, whole=False)
    kept = [v for v in values if v is not None and not isinstance(v, bool) and v != ""]
    if flags and kept:
        return Choices([], [], nullable=False, whole=False)
    types = [_type_name(value) for value in kept] or ["boolean" for _ in flags]
    if "number" in types:
        types = [name for name in types if name != "integer"]
    nullable = None in values
    if nullable and not types:
        types = ["null"]
    unique = list({(type(value), value): value for value in kept}.values())
    return Choices(unique, types, nullable, whole=len(flags) != 1 and "" not in values)


def number_of(value: Any) -> int | float | None:
    """None for what is no number. Numbers in quotes count: some tools write all values so."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _type_name(value: Any) -> str:
    if isinstance(value, str):
        return "string"
    return "integer" if isinstance(value, int) else "number"
