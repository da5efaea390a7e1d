"""SQLite databases that somebody uploads: read in memory, never trusted."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from credentials.importers.found import NotACredential
from credentials.importers.tables import Row

SIGNATURE = b"SQLite format 3\x00"
_WAL_SIGNATURES = (0x377F0682, 0x377F0683)
_WAL_HEADER, _FRAME_HEADER = 32, 24
_MAX_STEPS = 20_000
"""Of a thousand instructions each; a database of the largest size takes a few hundred."""
_TEXT_PER_BYTE = 2
"""Letters that one byte of a database can hold; none holds more than one, but a log may repeat pages."""
_MAX_VALUE_BYTES = 2 * 1024 * 1024
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA})


def rows(data: bytes, wal: bytes = b"") -> Iterator[tuple[str, Row]]:
    """(table, row) of every ordinary table. `wal`: the file beside it, where a running program keeps its newest pages.

    Raises NotACredential for what SQLite cannot read, and for more text than can be in it: tables that share their pages
    would be read again and again.
    """
    left = _TEXT_PER_BYTE * (len(data) + len(wal))
    try:
        with closing(_opened(_merged(data, wal))) as database:
            for table in _tables(database):
                for row in _table(database, table):
                    left -= sum(len(value) for value in row.values() if isinstance(value, str))
                    if left < 0:
                        raise NotACredential(
                            "a damaged SQLite database: its tables share their pages"
                        )
                    yield table, row
    except (sqlite3.Error, OverflowError, MemoryError, UnicodeDecodeError) as exc:
        raise NotACredential("a damaged SQLite database, or not one at all") from exc


def _opened(data: bytes) -> sqlite3.Connection:
    """With every door shut that SQLite has for hostile schemas: views and triggers do not run, no other file is opened,
    and a query that does not end is ended."""
    database = sqlite3.connect(":memory:")
    database.deserialize(data)
    database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")
    database.execute("PRAGMA query_only = ON")
    database.text_factory = lambda value: value.decode("utf-8", "replace")
    steps = 0

    def too_long() -> int:
        nonlocal steps
        steps += 1
        return int(steps > _MAX_STEPS)

    database.set_progress_handler(too_long, 1000)
    database.set_authorizer(lambda action, *_: _verdict(action))
    return database


def _verdict(action: int) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _tables(database: sqlite3.Connection) -> list[str]:
    """Ordinary ones; virtual ones would run code of their own."""
    schema = database.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' LIMIT 200")
    return [
        name
        for name, statement in schema.fetchall()
        if isinstance(name, str)
        and not name.startswith("sqlite_")
        and not str(statement).upper().startswith("CREATE VIRTUAL")
    ]


def _table(database: sqlite3.Connection, table: str) -> Iterator[Row]:
    quoted = table.replace('"', '""')
    try:
        cursor = database.execute(f'SELECT * FROM "{quoted}"')
    except sqlite3.DatabaseError as exc:
        if "authorized" in str(exc):
            return  # a column that computes something
        raise
    names = [column[0] for column in cursor.description]
    for values in cursor:
        yield dict(zip(names, map(_text, values), strict=True))


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _merged(data: bytes, wal: bytes) -> bytes:
    """The database with the committed pages of its write-ahead log, marked as one without a log: such a one cannot be
    opened from memory."""
    pages = bytearray(data)
    if len(pages) >= 20:
        pages[18:20] = b"\x01\x01"
    for number, content in _committed(wal):
        at = (number - 1) * len(content)
        if len(pages) < at + len(content):
            pages.extend(bytes(at + len(content) - len(pages)))
        pages[at : at + len(content)] = content
        if number == 1:
            pages[18:20] = b"\x01\x01"
    return bytes(pages)


def _committed(wal: bytes) -> list[tuple[int, bytes]]:
    """(page number, page) up to the last commit; what follows it belongs to an older round, or never happened."""
    if len(wal) < _WAL_HEADER:
        return []
    magic, _, page_bytes, _, salt, salt_2 = struct.unpack_from(">6I", wal)
    if magic not in _WAL_SIGNATURES or not 512 <= page_bytes <= 65536:
        return []
    pages: list[tuple[int, bytes]] = []
    sure = 0
    for at in range(
        _WAL_HEADER, len(wal) - page_bytes - _FRAME_HEADER + 1, page_bytes + _FRAME_HEADER
    ):
        number, commits, frame_salt, frame_salt_2 = struct.unpack_from(">4I", wal, at)
        if (frame_salt, frame_salt_2) != (salt, salt_2) or not 0 < number < 1_000_000:
            break
        pages.append((number, wal[at + _FRAME_HEADER : at + _FRAME_HEADER + page_bytes]))
        sure = len(pages) if commits else sure
    return pages[:sure]
