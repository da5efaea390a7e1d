"""Where a `$ref` leads: JSON pointers, `$id`s, anchors, and the bare names that tools write when they cut schemas out."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from apiproxy.wire.types import Json

_NAMES = ("$anchor", "$dynamicAnchor")
_IDS = ("$id", "id")
_COLLECTIONS = ("$defs", "definitions", "schemas")


class References:
    """Those of one document. What is looked for beyond a pointer from the root is indexed once, when first needed."""

    def __init__(self, root: Json) -> None:
        self._root = root
        self._ids: dict[str, Any] | None = None
        self._names: dict[str, Any] = {}

    def find(self, ref: str) -> Any:
        """The schema, a dict or a bool; None for a reference that leads nowhere."""
        base, _, fragment = ref.partition("#")
        start = self._document(base) if base else self._root
        if start is None:
            found = self._named(ref) if "://" not in ref else None
        elif not fragment:
            found = start
        elif fragment.startswith("/"):
            found = _pointed(start, fragment)
            if found is None:
                # Cut out of a larger document, its definitions stand elsewhere now.
                found = self._named(fragment.rpartition("/")[2])
        else:
            found = self._named(fragment)
        return found if isinstance(found, dict | bool) else None

    def _document(self, base: str) -> Any:
        ids, _ = self._index()
        return ids.get(base) or ids.get(base.rpartition("/")[2])

    def _named(self, name: str) -> Any:
        _, names = self._index()
        return names.get(unquote(name))

    def _index(self) -> tuple[dict[str, Any], dict[str, Any]]:
        if self._ids is None:
            self._ids = {}
            stack: list[Any] = [self._root]
            while stack:
                node = stack.pop()
                if isinstance(node, dict):
                    self._note(node, self._ids)
                    stack.extend(node.values())
                elif isinstance(node, list):
                    stack.extend(node)
        return self._ids, self._names

    def _note(self, node: Json, ids: dict[str, Any]) -> None:
        for key in _IDS:
            if isinstance(address := node.get(key), str):
                ids.setdefault(address, node)
                ids.setdefault(address.rpartition("/")[2], node)
        for key in _NAMES:
            if isinstance(name := node.get(key), str):
                self._names.setdefault(name, node)
        for key in _COLLECTIONS:
            if isinstance(collection := node.get(key), dict):
                for name, schema in collection.items():
                    self._names.setdefault(name, schema)


def _pointed(node: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        key = unquote(token).replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict):
            node = node.get(key)
        elif isinstance(node, list) and key.isascii() and key.isdigit() and len(key) < 10:
            node = node[int(key)] if int(key) < len(node) else None
        else:
            return None
    return node
