"""Results as a table: a line a case, a column a dialect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from apiproxy.selftest.cases import GROUPS

Json = dict[str, Any]


class Line(Struct, frozen=True):
    """`results`: one a dialect, None where the dialect does not have the case."""

    case: str
    results: list[Json | None]


class Group(Struct, frozen=True):
    title: str
    lines: list[Line]


class Table(Struct, frozen=True):
    dialects: list[str]
    groups: list[Group]
    failed: list[Json]
    count: int


def table_of(results: list[Json]) -> Table:
    """`results` as SelfTest stores them."""
    dialects = list(dict.fromkeys(result["dialect"] for result in results))
    found: dict[str, dict[str, Json]] = {}
    for result in results:
        found.setdefault(result["case"], {})[result["dialect"]] = result
    groups = []
    for title, names in (*GROUPS, ("Others", _unknown(found))):
        lines = [
            Line(name, [found[name].get(dialect) for dialect in dialects])
            for name in names
            if name in found
        ]
        if lines:
            groups.append(Group(title, lines))
    failed = [result for result in results if not result["passed"]]
    return Table(dialects, groups, failed, len(results))


def _unknown(found: Iterable[str]) -> list[str]:
    """A stored run may be of a version with other cases."""
    known = {name for _, names in GROUPS for name in names}
    return [name for name in found if name not in known]


def as_text(table: Table) -> str:
    """For a terminal."""
    lines = [line for group in table.groups for line in group.lines]
    width = max((len(line.case) for line in lines), default=0)
    rows = ["  ".join([" " * width, *table.dialects])]
    for line in lines:
        marks = (_mark(result) for result in line.results)
        cells = (mark.ljust(len(name)) for mark, name in zip(marks, table.dialects, strict=True))
        rows.append("  ".join([line.case.ljust(width), *cells]).rstrip())
    rows += [f"{one['dialect']}, {one['case']}: {one['detail']}" for one in table.failed]
    return "\n".join(rows)


def _mark(result: Json | None) -> str:
    if result is None:
        return "–"
    return "✓" if result["passed"] else "✗"
