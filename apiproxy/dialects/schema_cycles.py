"""Schemas that refer to themselves: upstream only through a property that is not required (reference 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from apiproxy.wire.types import Json

_PREFIX = "#/$defs/"


class _Edge(Struct):
    """A reference that an instance cannot do without, and the property it stands in: `owner` may be None."""

    source: str
    target: str
    holder: Json
    owner: Json | None
    name: str


def used(root: Json, definitions: dict[str, Json]) -> dict[str, Json]:
    """The definitions that `root` needs; others were put where they were referred to."""
    found: dict[str, Json] = {}
    stack: list[Any] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            name = str(node.get("$ref")).removeprefix(_PREFIX)
            if name in definitions and name not in found:
                found[name] = definitions[name]
                stack.append(found[name])
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
    return found


def break_cycles(definitions: dict[str, Json], note: Callable[[str, str], None]) -> None:
    """In place. A required property on a cycle becomes optional; a cycle without one ends in anything at all."""
    edges = {name: list(_edges(name, schema)) for name, schema in definitions.items()}
    done: set[str] = set()
    for start in definitions:
        if start not in done:
            _follow(start, edges, done, note)


def _follow(
    start: str, edges: dict[str, list[_Edge]], done: set[str], note: Callable[[str, str], None]
) -> None:
    """Depth first, without recursion: a chain of definitions may be long."""
    places = {start: 0}
    ways: list[_Edge] = []
    rests = [iter(edges[start])]
    while rests:
        edge = next(rests[-1], None)
        if edge is None:
            done.add(places.popitem()[0])
            rests.pop()
            if ways:
                ways.pop()
        elif edge.target in places:
            cycle = [*ways[places[edge.target] :], edge]
            _cut(next((way for way in reversed(cycle) if way.owner), edge), note)
        elif edge.target not in done:
            places[edge.target] = len(places)
            ways.append(edge)
            rests.append(iter(edges[edge.target]))


def _cut(edge: _Edge, note: Callable[[str, str], None]) -> None:
    at = f".$defs.{edge.source}"
    if edge.owner is None:
        edge.holder.clear()
        note(at, f"it holds {edge.target} again, which may be anything there")
    elif edge.name in edge.owner.get("required", ()):
        edge.owner["required"] = [name for name in edge.owner["required"] if name != edge.name]
        if not edge.owner["required"]:
            del edge.owner["required"]
        note(at, f"required {edge.name[:60]!r} is not enforced: it leads back here")


def _edges(source: str, schema: Json, owner: Json | None = None, name: str = "") -> Iterator[_Edge]:
    if (ref := schema.get("$ref")) is not None:
        yield _Edge(source, ref.removeprefix(_PREFIX), schema, owner, name)
    required = schema.get("required", ())
    for key, inner in schema.get("properties", {}).items():
        if key in required:
            yield from _edges(source, inner, schema, key)
    for inner in (*schema.get("anyOf", ()), *schema.get("prefixItems", ())):
        yield from _edges(source, inner, owner, name)
    for key in ("items", "additionalProperties"):
        if isinstance(inner := schema.get(key), dict):
            yield from _edges(source, inner, owner, name)
