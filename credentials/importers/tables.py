"""Rows of another gateway's database, whatever it was kept in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from credentials.importers import api_keys, detect
from credentials.importers.found import Unusable, shown_name

Row = Mapping[str, Any]

MAX_ROWS = 200_000
_ANTIGRAVITY = "antigravity"


def read(rows: Iterator[tuple[str, Row]], *, source: str) -> Iterator[detect.Piece]:
    """`rows`: (table, row). gcli2api's tables are read with names and states; in all others keys and JSON are looked for.

    Its older versions keep everything in one row (`key`, `data`), which is JSON like any other.
    """
    skipped = 0
    for number, (table, row) in enumerate(rows, start=1):
        if number > MAX_ROWS:
            yield Unusable(source, f"more than {MAX_ROWS} rows; the rest was left out")
            break
        where = f"{source}#{_shown(table)}#{number}"
        if "credential_data" in row and _ANTIGRAVITY in table.lower():
            skipped += 1
        elif "credential_data" in row:
            yield from detect.row(dict(row), source=where)
        else:
            yield from _values(row, where)
    if skipped:
        yield Unusable(
            source, f"{skipped} logins of Antigravity, which is no channel of this gateway"
        )


_shown = lru_cache(maxsize=256)(shown_name)


def _values(row: Row, where: str) -> Iterator[detect.Piece]:
    """A broken or foreign value is no news in a table, so only what can be used is told."""
    for value in row.values():
        for piece in _found_in(value, where):
            if not isinstance(piece, Unusable):
                yield piece


def _found_in(value: Any, where: str) -> Iterator[detect.Piece]:
    if isinstance(value, dict | list):
        yield from detect.read(value, source=where)
    elif isinstance(value, str) and value[:1] in ("{", "["):
        try:
            yield from detect.read(json.loads(value), source=where)
        except (ValueError, RecursionError):
            yield from api_keys.read_certain(value, source=where)
    elif isinstance(value, str):
        yield from api_keys.read_certain(value, source=where)
