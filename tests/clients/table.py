"""The table client × case, out of the reports of a test run; a table of its own for clients with other cases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PASSED, LACKING, NOT_RUN = "✓", "–", " "


class Table:
    """A pytest plugin. The property `client` of a report says that it is a cell of the table."""

    def __init__(self) -> None:
        self.columns: dict[str, tuple[str, ...]] = {}
        """By client."""
        self.versions: dict[str, str] = {}
        self.cells: dict[tuple[str, str], str] = {}
        self.reasons: dict[tuple[str, str], str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        told = dict(report.user_properties)
        if "client" not in told or (report.when != "call" and report.passed):
            return
        client, case = told["client"], told["case"]
        self.columns[client] = tuple(told["columns"])
        self.versions[client] = told.get("version", self.versions.get(client, "?"))
        self.cells[client, case] = PASSED if report.passed else _fault(report)
        for lacking, reason in told["lacks"].items():
            self.cells.setdefault((client, lacking), LACKING)
            self.reasons[client, lacking] = reason

    def text(self) -> str:
        failures = [
            f"✗ {client} · {case}: {cell}\n"
            for (client, case), cell in self.cells.items()
            if cell not in (PASSED, LACKING)
        ]
        # In the order in which their first clients came.
        grids = [self._grid(columns) for columns in dict.fromkeys(self.columns.values())]
        return "\n" + "\n".join([*grids, *self._remarks(), *failures]) + "\n"

    def _grid(self, columns: tuple[str, ...]) -> str:
        rows = [["client", "version", *(case.replace("_", " ") for case in columns)]]
        for client, version in sorted(self.versions.items()):
            if self.columns[client] != columns:
                continue
            cells = [self.cells.get((client, case), NOT_RUN) for case in columns]
            marks = [cell if cell in (PASSED, LACKING, NOT_RUN) else "✗" for cell in cells]
            rows.append([client, version, *marks])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join(lines) + "\n"

    def _remarks(self) -> Iterable[str]:
        """Each reason once, with the cells it is for."""
        cells: dict[tuple[str, str], list[str]] = {}
        for (client, case), reason in sorted(self.reasons.items()):
            if self.cells.get((client, case)) == LACKING:
                cells.setdefault((client, reason), []).append(case.replace("_", " "))
        return [f"– {client}: {', '.join(of)}: {why}" for (client, why), of in cells.items()]


def _fault(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    said = crash.message if crash else str(report.longrepr)
    return said.strip().splitlines()[0][:200]
