"""Database dumps in SQL text: pg_dump (COPY and INSERT), mysqldump and SQLite's `.dump`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from credentials.importers.tables import Row

_NAME = r"[`\"\[]?([\w$]+)[`\"\]]?"
_TABLE = rf"(?:{_NAME}\.)?{_NAME}"
_START = re.compile(
    rf"^[ \t]*(?:(?P<copy>COPY)|(?P<insert>(?:INSERT|REPLACE)(?:\s+(?:OR\s+\w+|IGNORE))?\s+INTO)"
    rf"|(?P<create>CREATE\s+TABLE(?:\s+IF\s+NOT\s+EXISTS)?))\s+{_TABLE}",
    re.IGNORECASE | re.MULTILINE,
)
_COPY_REST = re.compile(r"\s*\(([^)]{0,5000})\)\s*FROM\s+stdin;?[^\n]*\n", re.IGNORECASE)
_COLUMNS = re.compile(r"\s*\(([^)]{0,5000})\)\s*VALUES\s*|\s*VALUES\s*", re.IGNORECASE)
_COLUMN = re.compile(rf"^\s*{_NAME}\s+\w", re.MULTILINE)
_NO_COLUMNS = frozenset({"constraint", "primary", "unique", "key", "index", "foreign", "check"})
# Possessive (++, *+): what is not given back need not be remembered, however long the text.
_VALUE = re.compile(
    r"\s*(?:(?P<prefix>[eEnN]|_binary\s|_utf8mb4\s)?'(?P<text>(?:[^'\\]++|\\.|'')*+)'|(?P<plain>[^,()';]+(?:\([^()]*\))?))"
    r"(?:::[\w ]+)?\s*",
    re.DOTALL,
)
_SQLITE_TEXT = re.compile(r"\s*'(?P<text>(?:[^']++|'')*+)'\s*", re.DOTALL)
_COPY_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "0": "\0",
    "Z": "\x1a",
}
_MAX_FRUITLESS = 300
_MAX_CREATE = 8_000
_MAX_COLUMNS = 1000
_HINTS = ("INSERT INTO", "CREATE TABLE", "PostgreSQL database dump")


def is_dump(text: str) -> bool:
    """Judged by its beginning: dumps open with comments, settings and tables."""
    head = text[:20_000]
    return (
        any(hint in head for hint in _HINTS)
        or re.search(r"^COPY .* FROM stdin", head, re.M) is not None
    )


def rows(text: str) -> Iterator[tuple[str, Row]]:
    """(table, row) of every COPY and INSERT. Statements it cannot read are passed over; after too many it stops, as then
    it is no dump."""
    # In MySQL's and PostgreSQL's E'' texts a backslash escapes; in standard SQL, and so in SQLite's, it is a letter.
    backslashes = "MySQL dump" in text[:2000] or "MariaDB dump" in text[:2000]
    columns: dict[str, list[str]] = {}
    at = fruitless = 0
    while fruitless < _MAX_FRUITLESS and (match := _START.search(text, at)):
        table = match[match.lastindex or 0]
        at = match.end()
        fruitless += 1
        if match["create"]:
            columns[table] = _created(text, at)
            continue
        statement = _Statement(text, at, columns.get(table, []), backslashes=backslashes)
        for row in statement.copied() if match["copy"] else statement.inserted():
            fruitless = 0
            yield table, row
        at = statement.at


def _split(names: str) -> list[str]:
    return [name.strip().strip('`"[]') for name in names.split(",")]


def _created(text: str, at: int) -> list[str]:
    """The columns in their order, for INSERTs that do not name them."""
    body = text[at : at + _MAX_CREATE].partition(";")[0]
    inner = re.sub(r"--[^\n]*", "", body).partition("(")[2]
    flat = _without_nested(inner)
    names = [found[1] for part in flat.split(",") if (found := _COLUMN.match(part))]
    return [name for name in names if name.lower() not in _NO_COLUMNS]


def _without_nested(text: str) -> str:
    """Parentheses inside the list of columns, as in `DEFAULT (unixepoch())`, hold commas of their own."""
    kept, depth = [], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if depth < 0:
            break
        if depth == 0 and char != ")":
            kept.append(char)
    return "".join(kept)


def _copy_value(field: str) -> str | None:
    if field == "\\N":
        return None
    return _COPY_ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), field)


class _Statement:
    """One COPY or INSERT behind its table's name. `at`: where reading it ended."""

    def __init__(self, text: str, at: int, columns: list[str], *, backslashes: bool) -> None:
        self.text, self.at, self.columns, self.backslashes = text, at, columns, backslashes

    def copied(self) -> Iterator[Row]:
        if not (rest := _COPY_REST.match(self.text, self.at)):
            return
        names = _split(rest[1])
        end = self.text.find("\n\\.", rest.end() - 1)
        self.at = len(self.text) if end < 0 else end
        for line in self.text[rest.end() : self.at].splitlines():
            values = [_copy_value(field) for field in line.split("\t")]
            if len(values) == len(names):
                yield dict(zip(names, values, strict=True))

    def inserted(self) -> Iterator[Row]:
        """`VALUES (1, 'a'), (2, 'b')`."""
        if not (rest := _COLUMNS.match(self.text, self.at)):
            return
        self.at = rest.end()
        names = _split(rest[1]) if rest[1] else self.columns
        while (row := self._row()) is not None:
            yield dict(zip(names or map(str, range(len(row))), row, strict=False))
            if not self._skip(","):
                return

    def _row(self) -> list[Any] | None:
        if not self._skip("("):
            return None
        row: list[Any] = []
        while len(row) < _MAX_COLUMNS:
            row.append(self._value())
            if self._skip(")"):
                return row
            if not self._skip(","):
                break
        return None

    def _skip(self, char: str) -> bool:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        found = self.text.startswith(char, self.at)
        self.at += found
        return found

    def _value(self) -> Any:
        if not self.backslashes and (match := _SQLITE_TEXT.match(self.text, self.at)):
            self.at = match.end()
            return match["text"].replace("''", "'")
        if match := _VALUE.match(self.text, self.at):
            self.at = match.end()
            if match["text"] is None:
                return _plain(match["plain"].strip())
            text = match["text"].replace("''", "'")
            return _COPY_ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), text)
        if self.text.startswith("'", self.at):
            self.at = len(self.text)  # a text that never ends: it was searched to the end once
        return None


def _plain(word: str) -> Any:
    if word.upper() == "NULL":
        return None
    try:
        return int(word)
    except ValueError:
        pass
    try:
        return float(word)
    except ValueError:
        return word
