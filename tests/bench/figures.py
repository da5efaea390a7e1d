"""Rows of the table: several rounds of one figure, shown as their median and their range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Row:
    """`ours` and `nginx` hold one value a round. `compared`: nginx would have such a figure, were it there."""

    section: str
    what: str
    parallel: int | None
    unit: str
    ours: Sequence[float]
    nginx: Sequence[float] = ()
    target: str = ""
    compared: bool = False

    def as_data(self) -> dict[str, Any]:
        return {
            "section": self.section,
            "what": self.what,
            "parallel": self.parallel,
            "unit": self.unit,
            "wellspring": _summary(self.ours),
            "nginx": _summary(self.nginx),
            "target": self.target,
        }


def _summary(rounds: Sequence[float]) -> dict[str, Any] | None:
    if not rounds:
        return None
    return {
        "median": median(rounds),
        "min": min(rounds),
        "max": max(rounds),
        "rounds": list(rounds),
    }


def table(rows: Sequence[Row], *, nginx_absent: str) -> str:
    """Markdown. `nginx_absent` stands where nginx's figure would be, were it installed."""
    cells = [("", "parallel", "unit", "Wellspring", "nginx", "target")]
    for number, row in enumerate(rows):
        if number == 0 or row.section != rows[number - 1].section:
            cells.append((f"**{row.section}**", "", "", "", "", ""))
        beside = spread(row.nginx) or (nginx_absent if row.compared else "")
        parallel = "" if row.parallel is None else str(row.parallel)
        cells.append((row.what, parallel, row.unit, spread(row.ours), beside, row.target))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = [_line(line, widths) for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _line(line: Sequence[str], widths: Sequence[int]) -> str:
    padded = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
    return "| " + " | ".join(padded) + " |"


def spread(rounds: Sequence[float]) -> str:
    """`median (lowest–highest)` with about three digits that mean something."""
    if not rounds:
        return ""
    middle = median(rounds)
    digits = 0 if abs(middle) >= 100 else 1 if abs(middle) >= 10 else 2
    shown = [f"{value:,.{digits}f}" for value in (middle, min(rounds), max(rounds))]
    return shown[0] if len(rounds) == 1 else f"{shown[0]} ({shown[1]}–{shown[2]})"
