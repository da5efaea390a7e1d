"""Files that are read together, and what they tell of one another."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import structs

from credentials.importers import api_keys, detect, sql_dump, sqlite_file, tables
from credentials.importers.found import (
    Found,
    Item,
    Known,
    NotACredential,
    Unusable,
    file_name,
)
from credentials.importers.standings import with_known

_WAL, _WAL_INDEX = "-wal", "-shm"
_MAX_TOML_BYTES, _MAX_TOML_LINE = 2 * 1024 * 1024, 8 * 1024
"""Python's reader takes time and room with the square of the dots in one line's key."""
MAX_PIECES = 200_000
_NOTHING_IN_IT = "no API key and no credential of a known format in it"


class Reading:
    """Takes the files in any order. States that stand in a file of their own, and the log of a database, are joined at
    the end to what they belong to."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._states: dict[tuple[str, str], Known] = {}
        self._databases: dict[str, bytes] = {}
        self._logs: dict[str, bytes] = {}

    def refuse(self, source: str, reason: str) -> None:
        self._items.append(Unusable(source, reason))

    def take(self, source: str, data: bytes) -> None:
        """`source`: the path, already fit to be shown."""
        if data.startswith(sqlite_file.SIGNATURE):
            self._databases[source] = data
        elif source.endswith(_WAL_INDEX):
            return
        elif source.endswith(_WAL):
            self._logs[source.removesuffix(_WAL)] = data
        else:
            self._take_text(source, data)

    def items(self) -> list[Item]:
        for source, data in self._databases.items():
            self._take_database(source, data)
        self._databases.clear()
        return [self._joined(item) for item in self._items]

    def _take_text(self, source: str, data: bytes) -> None:
        try:
            text = data.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            self.refuse(source, "neither UTF-8 text nor a ZIP nor an SQLite database")
            return
        if not text:
            self.refuse(source, "an empty file")
            return
        self._keep(source, _pieces(text, source))

    def _take_database(self, source: str, data: bytes) -> None:
        rows = sqlite_file.rows(data, self._logs.get(source, b""))
        self._keep(source, _until_damage(tables.read(rows, source=source), source))

    def _keep(self, source: str, pieces: Iterable[detect.Piece]) -> None:
        found: list[Item] = []
        told = False
        for piece in pieces:
            if len(self._items) + len(found) >= MAX_PIECES:
                found.append(
                    Unusable(source, f"more than {MAX_PIECES} in all; the rest was left out")
                )
                break
            if isinstance(piece, detect.Aside):
                self._states[_folder(source), piece.name] = piece.known
                told = True
            else:
                found.append(piece)
        if not found and not told:
            found = [Unusable(source, _NOTHING_IN_IT)]
        self._items += _named_after(source, found)

    def _joined(self, item: Item) -> Item:
        """A file's own state, where it has one, is as old as the file; what stands beside it is newer."""
        if isinstance(item, Unusable) or not item.name:
            return item
        known = self._states.get((_folder(item.source), item.name))
        return with_known(item, known) if known else item


def _until_damage(pieces: Iterator[detect.Piece], source: str) -> Iterator[detect.Piece]:
    try:
        yield from pieces
    except NotACredential as exc:
        yield Unusable(source, str(exc))


def _pieces(text: str, source: str) -> Iterable[detect.Piece]:
    if text[0] in "{[":
        if (values := _json_values(text)) is not None:
            return (piece for value in values for piece in detect.read(value, source=source))
        if (value := _toml(text)) is not None:
            return detect.read(value, source=source)
        # Long words of a broken file are as likely a client's secret as a key.
        return list(api_keys.read_certain(text, source=source)) or [Unusable(source, "broken JSON")]
    if source.endswith(".toml") and (value := _toml(text)) is not None:
        return detect.read(value, source=source)
    if sql_dump.is_dump(text):
        return tables.read(sql_dump.rows(text), source=source)
    return api_keys.read(text, source=source)


def _json_values(text: str) -> list[Any] | None:
    """The value of a JSON text, or of each of several that follow one another; None when it is broken."""
    decoder, values, at = json.JSONDecoder(), [], 0
    try:
        while at < len(text):
            value, at = decoder.raw_decode(text, at)
            values.append(value)
            while at < len(text) and text[at] in " \t\r\n,":
                at += 1
    except (ValueError, RecursionError):
        return None
    return values


def _toml(text: str) -> dict[str, Any] | None:
    if len(text) > _MAX_TOML_BYTES or max(map(len, text.splitlines())) > _MAX_TOML_LINE:
        return None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def _folder(source: str) -> str:
    return source.partition("#")[0].rpartition("/")[0]


def _named_after(source: str, items: list[Item]) -> list[Item]:
    """A file that holds one login gives it its name."""
    name = file_name(source)
    logins = [item for item in items if isinstance(item, Found)]
    if len(logins) != 1 or not name.lower().endswith(".json") or logins[0].name:
        return items
    return [structs.replace(item, name=name) if isinstance(item, Found) else item for item in items]
