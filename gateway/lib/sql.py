"""Plain SQL for the few tables that are written at the pace of requests.

`batch` is one transaction on the driver's own cursor: of the 200 µs that a reservation and its charge took together on
SQLite, Django's wrappers around each statement and around the transaction were 130. Statements are written with %s for
both databases, and the driver's errors come out as Django's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, connections

# Well below SQLite's 32,766 parameters a statement for any table of ours.
ROWS_A_STATEMENT = 500


class Cursor:
    """The driver's cursor behind one way to write placeholders."""

    def __init__(self, cursor: Any, *, question_marks: bool) -> None:
        self._cursor = cursor
        self._question_marks = question_marks
        self.fetchone = cursor.fetchone
        self.fetchall = cursor.fetchall

    def execute(self, statement: str, values: Sequence[Any] = ()) -> None:
        if self._question_marks:
            statement = _with_question_marks(statement)
        self._cursor.execute(statement, values)


@contextmanager
def batch() -> Iterator[Cursor]:
    """All of it is committed, or nothing; inside a Django transaction it is a part of that one.

    Raises django.db.Error.
    """
    # The thread's own, looked up once: `django.db.connection` looks it up for each attribute.
    database: Any = connections[DEFAULT_DB_ALIAS]
    on_sqlite = database.vendor == "sqlite"
    with database.wrap_database_errors:
        database.ensure_connection()
        cursor = Cursor(database.connection.cursor(), question_marks=on_sqlite)
        if database.in_atomic_block:
            yield cursor
            return
        # SQLite takes the write lock at once, so that nothing read inside can be out of date by the first write.
        cursor.execute("BEGIN IMMEDIATE" if on_sqlite else "BEGIN")
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            # A connection that was lost has rolled back by itself.
            with suppress(Error), database.wrap_database_errors:
                cursor.execute("ROLLBACK")
            raise


@lru_cache(maxsize=4096)
def _with_question_marks(statement: str) -> str:
    return statement.replace("%s", "?")


def insert_many(
    cursor: Cursor, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """One INSERT for many rows. Values are as the database stores them: nothing is converted here."""
    one = f"({', '.join(['%s'] * len(columns))})"
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        some = rows[start : start + ROWS_A_STATEMENT]
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([one] * len(some))}",
            [value for row in some for value in row],
        )
