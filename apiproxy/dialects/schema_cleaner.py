"""One schema as a client wrote it -> the part of JSON Schema that `parametersJsonSchema` and `responseJsonSchema` take
(reference 3.3). Every draft comes in; out come lower-case types, `anyOf`, `enum`, `$defs` and `$ref`s without neighbours.

Only schemas are touched: a property that happens to be named `default` or `strict`, and values under `default`, `enum`
or `const`, are the client's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from apiproxy.dialects import schema_words as words
from apiproxy.dialects.fields import either
from apiproxy.dialects.schema_keywords import Keywords
from apiproxy.dialects.schema_merge import merge
from apiproxy.dialects.schema_refs import References
from apiproxy.wire import codec
from apiproxy.wire.types import Json

_MAX_DEPTH = 60
_MAX_SCHEMAS = 10_000
_INLINED_BYTES = 2_000
"""A definition up to this size is put beside what stands next to a reference to it."""
_MAX_INLINED_BYTES = 500_000
_LONGEST_SEGMENT = 64
_REFUSED_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")

Note = tuple[str, str]
"""(path from the schema's root such as `.properties.a`, what was lost there)."""


class NoSchema(Exception):
    def __init__(self, path: str, value: Any, expected: str) -> None:
        super().__init__(path)
        self.path, self.value, self.expected = path, value, expected


class Cleaner:
    """Used once. `definitions` and `notes` hold what `clean` leaves beside its result."""

    def __init__(self, root: Json) -> None:
        self.definitions: dict[str, Json] = {}
        self.notes: list[Note] = []
        self._root = root
        self._references = References(root)
        self._names: dict[int, str] = {}
        """id() of a schema something refers to -> its name among the definitions."""
        self._taken: set[str] = set()
        self._waiting: dict[str, tuple[str, Any]] = {}
        """Name -> (path, schema) of what is still to be cleaned."""
        self._open: set[str] = set()
        """Definitions that are being cleaned: what leads back to them is a cycle."""
        self._path: list[str] = []
        self._depth = 0
        self._schemas = 0
        self._required = 0
        """Names, wherever they stand: halves that require ever more cost the square of their number."""
        self._inlined_bytes = 0

    def clean(self) -> Json:
        cleaned = self.resolved(self.schema(self._root))
        while self._waiting:
            self._define(next(iter(self._waiting)))
        return cleaned

    def resolved(self, cleaned: Json) -> Json:
        """What a reference leads to, so that words can be put beside it."""
        return (self._definition(cleaned) or {}) if "$ref" in cleaned else cleaned

    # ------------------------------------------------------------------ one schema

    def schema(self, value: Any, *, fragment: bool = False) -> Json:
        """`fragment`: one half of an `allOf`, whose `required` may name the other half's properties."""
        if value is False:
            self.note("nothing is allowed here, which cannot be said upstream")
            return {}
        if value is True:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(value, "a JSON Schema object")
        self._schemas += 1
        self._required += len(names) if isinstance(names := value.get("required"), list) else 0
        if len(self._path) > _MAX_DEPTH or max(self._schemas, self._required) > _MAX_SCHEMAS:
            limits = (
                f"at most {_MAX_SCHEMAS} schemas and as many required names, "
                f"nested at most {_MAX_DEPTH} deep"
            )
            raise self.wrong(value, f"a JSON Schema of {limits}")
        self._depth += 1
        own = Keywords(self, value).read()
        halves: Json = {}
        for number, member in enumerate(self._listed(value, "allOf")):
            half = self._at(f".allOf[{number}]", self.schema, member, fragment=True)
            halves = merge(halves, self._concrete(half), self.lose)
        own = merge(halves, own, self.lose)
        if (ref := either(value, "$ref", "$dynamicRef", "$recursiveRef")) is not None:
            if not isinstance(ref, str):
                raise self.wrong(ref, "a string", "$ref")
            own = self._referred(ref, own)
        self._depth -= 1
        return own if fragment else self._whole(own)

    def _whole(self, own: Json) -> Json:
        if own.pop("nullable", False):
            _allow_null(own)
        if "type" not in own and "anyOf" not in own:
            if "properties" in own:
                own["type"] = "object"
            elif "items" in own or "prefixItems" in own:
                own["type"] = "array"
        if (required := own.get("required")) is not None:
            properties = own.get("properties", {})
            for name in required:
                if name not in properties:
                    self.note(f"required names {name[:_LONGEST_SEGMENT]!r}, no property of it")
            own["required"] = [name for name in required if name in properties]
            if not own["required"]:
                del own["required"]
        return own

    # ------------------------------------------------------------------ references

    def _referred(self, ref: str, own: Json) -> Json:
        target = self._references.find(ref)
        if target is None:
            self.note(f"$ref {ref[:_LONGEST_SEGMENT]} leads nowhere")
            return own
        if isinstance(target, bool):
            return merge(self.schema(target), own, self.lose)
        name = self._names.get(id(target))
        if name is None:
            name = self._names[id(target)] = self._new_name(ref)
            self._waiting[name] = (ref.partition("#")[2].replace("/", "."), target)
        reference = {"$ref": f"#/$defs/{name}"}
        if not own:
            return reference
        inlined = self._small(reference)
        if inlined is not None:
            return merge(inlined, own, self.lose)
        # A reference takes no neighbours (reference 3.3).
        return merge({"anyOf": [reference]}, own, self.lose)

    def _small(self, reference: Json) -> Json | None:
        """The definition itself, if it leads back to nothing open and copies of it cost little."""
        definition = self._definition(reference)
        if definition is None:
            return None
        size = len(codec.encode(definition))
        if size > _INLINED_BYTES or self._inlined_bytes + size > _MAX_INLINED_BYTES:
            return None
        self._inlined_bytes += size
        return definition

    def _concrete(self, half: Json) -> Json:
        if "$ref" not in half:
            return half
        definition = self._definition(half)
        size = len(codec.encode(definition)) if definition else 0
        if definition is None or self._inlined_bytes + size > _MAX_INLINED_BYTES:
            return {"anyOf": [half]}
        self._inlined_bytes += size
        return definition

    def _definition(self, reference: Json) -> Json | None:
        """Cleaned now if it was not yet; None while it is open. Never a reference itself."""
        name = reference["$ref"].rpartition("/")[2]
        seen = set()
        while name not in seen:
            seen.add(name)
            if name in self._open:
                return None
            if name in self._waiting:
                if self._depth > _MAX_DEPTH // 2:
                    return None
                self._define(name)
            definition = self.definitions[name]
            if "$ref" not in definition:
                return definition
            name = definition["$ref"].rpartition("/")[2]
        return {}

    def _define(self, name: str) -> None:
        place, schema = self._waiting.pop(name)
        path, self._path = self._path, [place]
        self._open.add(name)
        self.definitions[name] = self.schema(schema)
        self._open.remove(name)
        self._path = path

    def _new_name(self, ref: str) -> str:
        plain = _REFUSED_IN_NAMES.sub("_", ref.rpartition("/")[2].rpartition("#")[2])
        plain = plain.strip("_")[: _LONGEST_SEGMENT - 8] or "root"
        name = f"{plain}_{len(self._names)}" if plain in self._taken else plain
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    # ------------------------------------------------------------------ for Keywords

    def child(self, segment: str, value: Any) -> Json:
        return self._at(segment, self.schema, value)

    def _at(self, segment: str, do: Callable[..., Json], value: Any, **options: Any) -> Json:
        self._path.append(segment[:_LONGEST_SEGMENT])
        result = do(value, **options)
        self._path.pop()
        return result

    def _listed(self, schema: Json, key: str) -> list[Any]:
        value = schema.get(key)
        if value is None or isinstance(value, list):
            return value or []
        raise self.wrong(value, "a list of schemas", key)

    def note(self, text: str) -> None:
        self.notes.append(("".join(self._path), text))

    def lose(self, keyword: str, value: Any) -> None:
        self.note(words.noted(keyword, value))

    def wrong(self, value: Any, expected: str, key: str = "") -> NoSchema:
        path = "".join(self._path) + (f".{key}" if key else "")
        return NoSchema(path, value, expected)


def _allow_null(own: Json) -> None:
    if (kind := own.get("type")) is not None:
        kinds = kind if isinstance(kind, list) else [kind]
        own["type"] = kind if "null" in kinds else [*kinds, "null"]
    elif (choices := own.get("anyOf")) is not None and {"type": "null"} not in choices:
        own["anyOf"] = [*choices, {"type": "null"}]
