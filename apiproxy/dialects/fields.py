"""Typed access to a client's JSON. Whatever is wrong becomes an InvalidRequest that names the field.

`at` is the path of the value as the client knows it: `messages[2].content[0].text`.
"""

from __future__ import annotations

from collections.abc import Collection, Set
from typing import Any

from apiproxy.wire.types import Json
from gateway.lib.errors import InvalidRequest

_MOST_NOTED = 20
_LONGEST_NOTED = 64


def wrong(at: str, value: Any, expected: str) -> InvalidRequest:
    subject = at or "the request body"
    if value is None:
        return InvalidRequest(f"{subject} is required and must be {expected}", param=at or None)
    return InvalidRequest(f"{subject} must be {expected}", param=at or None)


def as_object(value: Any, at: str) -> Json:
    if isinstance(value, dict):
        return value
    raise wrong(at, value, "an object")


def as_list(value: Any, at: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise wrong(at, value, "a list")


def as_text(value: Any, at: str) -> str:
    if isinstance(value, str):
        return value
    raise wrong(at, value, "a string")


def as_name(value: Any, at: str) -> str:
    """A string that is not blank."""
    if isinstance(value, str) and value.strip():
        return value
    raise wrong(at, value, "a string that is not empty")


def as_choice(value: Any, at: str, choices: Collection[str]) -> str:
    if isinstance(value, str) and value in choices:
        return value
    raise wrong(at, value, "one of " + ", ".join(sorted(choices)))


def as_flag(value: Any, at: str) -> bool:
    """Absent and null count as false."""
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    raise wrong(at, value, "true or false")


def as_number(value: Any, at: str, low: float, high: float) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise wrong(at, value, f"a number from {low:g} to {high:g}")


def as_integer(value: Any, at: str, low: int, high: int) -> int:
    """Accepts 5.0 for 5: some clients have only one kind of number."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise wrong(at, value, f"a whole number from {low} to {high}")


def either(source: Json, *spellings: str) -> Any:
    """The first of the spellings that is present and not null: camelCase and snake_case both come in."""
    for key in spellings:
        if (value := source.get(key)) is not None:
            return value
    return None


def not_understood(given: Json, known: Set[str], prefix: str = "") -> list[str]:
    """The fields that have a value and mean nothing here, for `Call.dropped`."""
    if given.keys() <= known:
        return []
    unknown = sorted(key for key in given.keys() - known if given[key] is not None)
    return [prefix + key[:_LONGEST_NOTED] for key in unknown[:_MOST_NOTED]]


def deeper_than(value: Any, limit: int) -> bool:
    """Whether containers nest deeper than `limit`; without recursion, so that depth itself cannot hurt."""
    level = [value]
    for _ in range(limit + 1):
        containers = [node for node in level if isinstance(node, dict | list)]
        if not containers:
            return False
        level = [
            child
            for node in containers
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return True
