"""JSON Schema as clients write it -> what Google's schema fields take (reference 3.3).

There are two targets. `clean` and `parameters` make JSON Schema, for `responseJsonSchema` and `parametersJsonSchema`;
both upstreams take these fields today, that Code Assist takes them for every model is not verified (reference 9).
`schema_openapi` makes the subset of OpenAPI that the older fields take, where an upstream refuses the newer ones.

What is lost is told to the model in the description and to the client in `dropped`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from apiproxy.dialects.fields import wrong
from apiproxy.dialects.schema_cleaner import Cleaner, NoSchema, Note
from apiproxy.dialects.schema_cycles import break_cycles, used
from apiproxy.dialects.schema_roots import as_object_schema
from apiproxy.wire import codec
from apiproxy.wire.types import Json

_MOST_NOTED = 40
_LONGEST_NOTED = 240
# Coding tools send the same long list of tools with every request.
_REMEMBERED = 512
_LONGEST_REMEMBERED_BYTES = 6_000


def clean(schema: Any, at: str, dropped: list[str] | None = None) -> Json:
    """Any schema. Not to be changed by the caller. Raises InvalidRequest for what is none, or is too large."""
    return _cleaned(schema, at, dropped, False)


def parameters(schema: Any, at: str, dropped: list[str] | None = None) -> Json | None:
    """As `clean` for the arguments of a function, which are an object; None where there are no arguments."""
    cleaned = _cleaned(schema, at, dropped, True)
    return None if takes_nothing(cleaned) else cleaned


def takes_nothing(schema: Json) -> bool:
    """An object without properties: such a declaration goes without parameters."""
    return (
        not schema.get("properties")
        and schema.get("additionalProperties") in (None, False)
        and "anyOf" not in schema
    )


def _cleaned(schema: Any, at: str, dropped: list[str] | None, of_function: bool) -> Json:
    try:
        encoded = codec.encode(schema)
        make = _remembered if len(encoded) <= _LONGEST_REMEMBERED_BYTES else _made
        cleaned, notes = make(encoded, of_function)
    except NoSchema as no_schema:
        raise wrong(at + no_schema.path, no_schema.value, no_schema.expected) from None
    except RecursionError:
        raise wrong(at, schema, "a JSON Schema nested less deep") from None
    if dropped is not None:
        for path, text in notes:
            note(dropped, f"{at}{path}: {text}")
    return cleaned


def note(dropped: list[str], text: str) -> None:
    """Say it, unless too much was said already."""
    if len(dropped) < _MOST_NOTED:
        dropped.append(text[:_LONGEST_NOTED])
    elif len(dropped) == _MOST_NOTED:
        dropped.append("… and more")


def _made(encoded: bytes, of_function: bool) -> tuple[Json, tuple[Note, ...]]:
    cleaner = Cleaner(codec.loads(encoded))
    cleaned = cleaner.clean()
    if of_function:
        cleaned = as_object_schema(cleaned, cleaner)
    if definitions := used(cleaned, cleaner.definitions):
        break_cycles(definitions, lambda path, text: cleaner.notes.append((path, text)))
        cleaned = {**cleaned, "$defs": definitions}
    return cleaned, tuple(dict.fromkeys(cleaner.notes))


_remembered = lru_cache(maxsize=_REMEMBERED)(_made)
