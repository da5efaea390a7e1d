"""The keywords that stand in one schema, `$ref` and `allOf` apart, one after the other."""

from __future__ import annotations

import math
from typing import Any, Protocol

from apiproxy.dialects import schema_words as words
from apiproxy.dialects.schema_merge import common_choices, merge
from apiproxy.dialects.schema_values import choices_of, number_of
from apiproxy.wire.types import Json

_READ_ELSEWHERE = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "allOf"})
_REQUIRING = frozenset({"required", "type"})
_ANY_NAME: tuple[Any, ...] = ({}, {"type": "string"}, True)
# The largest whole number that is one as a double too, which upstream every number of a JSON value is; as a limit it
# is none anyway.
_MAX_COUNT = 2**53 - 1


class Walk(Protocol):
    """What reads the schemas inside this one, and hears what is lost. `key` is the keyword something is wrong with."""

    def child(self, segment: str, value: Any) -> Json: ...
    def note(self, text: str) -> None: ...
    def lose(self, keyword: str, value: Any) -> None: ...
    def wrong(self, value: Any, expected: str, key: str) -> Exception: ...


class Keywords:
    """Used once."""

    def __init__(self, walk: Walk, schema: Json) -> None:
        self._walk = walk
        self._schema = schema
        self._own: Json = {}
        self._types: list[str] = []
        self._told: list[str] = []

    def read(self) -> Json:
        for key, value in self._schema.items():
            if value is None and key not in ("const", "default", "example"):
                continue
            reader = _READERS.get(key)
            if reader is not None:
                reader(self, key, value)
            elif key not in words.NOISE and key not in _READ_ELSEWHERE and not key.startswith("x-"):
                self._walk.note(f"{key[:60]} is not understood")
        return self._finished()

    def _finished(self) -> Json:
        own = self._own
        if self._types:
            types = list(dict.fromkeys(self._types))
            own = {"type": types[0] if len(types) == 1 else types, **own}
        if self._told:
            said = f"({'; '.join(self._told)})"
            before = own.get("description")
            own["description"] = f"{before} {said}" if before else said
        return own

    # ------------------------------------------------------------------ keywords that hold values

    def _text(self, key: str, value: Any) -> None:
        if not isinstance(value, str):
            raise self._walk.wrong(value, "a string", key)
        self._own[key] = value

    def _count(self, key: str, value: Any) -> None:
        number = number_of(value)
        if number is None or number < 0:
            self._walk.lose(key, value)
        else:
            self._own[key] = min(int(number), _MAX_COUNT)

    def _bound(self, key: str, value: Any) -> None:
        number = number_of(value)
        if number is None:
            self._walk.lose(key, value)
        elif key == "minimum":
            self._own[key] = max(number, self._own.get(key, number))
        else:
            self._own[key] = min(number, self._own.get(key, number))

    def _exclusive(self, key: str, value: Any) -> None:
        """Draft 4 has a flag beside the limit, later drafts the limit itself."""
        if value is False:
            return
        low = key == "exclusiveMinimum"
        limit = "minimum" if low else "maximum"
        number = number_of(self._schema.get(limit) if value is True else value)
        if number is None:
            self._walk.lose(key, value)
        elif self._schema.get("type") == "integer":
            self._bound(limit, math.floor(number) + 1 if low else math.ceil(number) - 1)
        else:
            self._bound(limit, number)
            self._tell(key, number)

    def _value(self, key: str, value: Any) -> None:
        self._own[key] = value

    def _order(self, key: str, value: Any) -> None:
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            self._own[key] = value

    def _tell(self, key: str, value: Any) -> None:
        if value is not False and not (key == "propertyNames" and value in _ANY_NAME):
            self._told.append(words.told(key, value))
            self._walk.lose(key, value)

    def _remark(self, key: str, value: Any) -> None:
        if value is not False:
            self._told.append(key if value is True else words.told(key, value))

    # ------------------------------------------------------------------ types and enumerations

    def _type(self, key: str, value: Any) -> None:
        names = value if isinstance(value, list) else [value]
        found: list[str] = []
        for name in names:
            if not isinstance(name, str):
                raise self._walk.wrong(value, "the name of a type, or a list of them", key)
            known = words.type_of(name)
            if known == "":
                return
            if known is None:
                self._walk.note(f"type {name[:60]!r} is not a type")
            else:
                found.append(known)
        self._types = found

    def _null(self, key: str, value: Any) -> None:
        if value is True:
            self._own["nullable"] = True

    def _const(self, key: str, value: Any) -> None:
        self._enumerate(key, [value], value)

    def _enum(self, key: str, value: Any) -> None:
        if not isinstance(value, list):
            raise self._walk.wrong(value, "a list", key)
        self._enumerate(key, value, value)

    def _enumerate(self, key: str, values: list[Any], shown: Any) -> None:
        choices = choices_of(values)
        if not choices.whole:
            self._tell(key, shown)
        if choices.kept:
            # A constant may stand beside the enumeration it is taken from.
            before = self._own.get("enum")
            kept = choices.kept
            self._own["enum"] = common_choices(before, kept, self._walk.lose) if before else kept
        if choices.nullable:
            self._own["nullable"] = True
        if not self._types and self._schema.get("type") is None:
            self._types = choices.types

    # ------------------------------------------------------------------ keywords that hold schemas

    def _properties(self, key: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise self._walk.wrong(value, "an object of schemas", key)
        self._own[key] = {
            name: self._walk.child(f".properties.{name}", schema) for name, schema in value.items()
        }
        # Draft 3, and tools that never were JSON Schema, mark the property itself.
        marked = [n for n, s in value.items() if isinstance(s, dict) and s.get("required") is True]
        if marked:
            self._require(marked)

    def _required(self, key: str, value: Any) -> None:
        if isinstance(value, bool):
            return
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self._walk.wrong(value, "a list of names", key)
        self._require(value)

    def _require(self, names: list[str]) -> None:
        self._own["required"] = list(dict.fromkeys([*self._own.get("required", []), *names]))

    def _items(self, key: str, value: Any) -> None:
        if isinstance(value, list):
            self._tuple(key, value)
            if (rest := self._schema.get("additionalItems")) not in (None, False):
                self._own["items"] = self._walk.child(".additionalItems", rest)
        elif value is not False:
            self._own["items"] = self._walk.child(".items", value)

    def _tuple(self, key: str, value: Any) -> None:
        if not isinstance(value, list):
            raise self._walk.wrong(value, "a list of schemas", key)
        places = [self._walk.child(f".{key}[{n}]", schema) for n, schema in enumerate(value)]
        if places:
            self._own["prefixItems"] = places

    def _additional(self, key: str, value: Any) -> None:
        if isinstance(value, bool):
            if value or not self._schema.get("patternProperties"):
                self._own["additionalProperties"] = value
        else:
            self._own["additionalProperties"] = self._walk.child(f".{key}", value)

    def _unevaluated(self, key: str, value: Any) -> None:
        if value is False:
            self._own.setdefault("additionalProperties", False)
        elif value is not True:
            self._tell(key, value)

    def _patterns(self, key: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise self._walk.wrong(value, "an object of schemas", key)
        kinds = [self._walk.child(f".{key}.{name}", schema) for name, schema in value.items()]
        if not kinds:
            return
        if not isinstance(self._schema.get("additionalProperties"), dict):
            self._own["additionalProperties"] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        self._told.append(words.told(key, list(value)))
        self._walk.lose(key, list(value))

    def _choices(self, key: str, value: Any) -> None:
        if not isinstance(value, list):
            raise self._walk.wrong(value, "a list of schemas", key)
        if "anyOf" in self._own or (value and all(map(_only_requires, value))):
            self._tell(key, value)
            return
        choices = [self._walk.child(f".{key}[{n}]", schema) for n, schema in enumerate(value)]
        if not all(choices):
            # One of them may be anything, so the choice says nothing but in words.
            if not any(schema is True or schema == {} for schema in value):
                self._tell(key, value)
        elif len(choices) == 1 and "$ref" not in choices[0]:
            self._one(choices[0])
        elif choices:
            self._own["anyOf"] = choices

    def _one(self, choice: Json) -> None:
        """No choice at all."""
        if (kind := choice.pop("type", None)) is not None and not self._types:
            self._types = kind if isinstance(kind, list) else [kind]
        self._own = merge(choice, self._own, self._walk.lose)


def _only_requires(choice: Any) -> bool:
    """Which of the properties beside the choice have to be there."""
    return isinstance(choice, dict) and "required" in choice and choice.keys() <= _REQUIRING


_READERS = {
    **dict.fromkeys(words.TEXTS, Keywords._text),
    **dict.fromkeys(words.COUNTS, Keywords._count),
    **dict.fromkeys(words.BOUNDS, Keywords._bound),
    **dict.fromkeys(words.VALUES, Keywords._value),
    **dict.fromkeys(words.CONSTRAINTS, Keywords._tell),
    **dict.fromkeys(words.REMARKS, Keywords._remark),
    "exclusiveMinimum": Keywords._exclusive,
    "exclusiveMaximum": Keywords._exclusive,
    "propertyOrdering": Keywords._order,
    "type": Keywords._type,
    "nullable": Keywords._null,
    "const": Keywords._const,
    "enum": Keywords._enum,
    "properties": Keywords._properties,
    "required": Keywords._required,
    "items": Keywords._items,
    "prefixItems": Keywords._tuple,
    "additionalProperties": Keywords._additional,
    "unevaluatedProperties": Keywords._unevaluated,
    "patternProperties": Keywords._patterns,
    "anyOf": Keywords._choices,
    "oneOf": Keywords._choices,
}
