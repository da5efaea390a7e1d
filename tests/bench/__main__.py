"""`make bench`: prints what the gateway costs, beside nginx where it is installed. See docs/bench.md."""

from __future__ import annotations

import argparse
import json
import platform
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from tests import services
from tests.bench import booking, figures, lending, limits, measure, pure, usage
from tests.bench.figures import Row
from tests.bench.processes import Broken
from tests.bench.site import Site
from tests.bench.stand import Stand, standing

SECTIONS = ("calls", "postgres", "limits", "streams", "memory", "lending", "ledger", "pure")
# Takes ten minutes: only when it is asked for.
LONG = ("usage",)
NOT_INSTALLED = "not installed"
WANTED_FILES = 8192
# Load per core from which the figures are more the others' than ours.
QUIET_LOAD = 0.3


def main() -> int:
    options = _arguments()
    # SIGTERM unwinds as Ctrl-C does, so that the children are ended and the folder is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _allow_files()
    began, busy = time.monotonic(), psutil.getloadavg()[0]
    try:
        with (
            tempfile.TemporaryDirectory(prefix="ws-bench-", ignore_cleanup_errors=True) as folder,
            standing(Path(folder), quick=options.quick) as stand,
        ):
            rows, notes = _measure(stand, options.only or SECTIONS)
            absent = "" if stand.nginx else NOT_INSTALLED
    except Broken as exc:
        print(f"The benchmark stopped: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if busy > QUIET_LOAD * psutil.cpu_count():
        notes.append(
            f"Others were at work here (load {busy:.1f}): the lowest values are the truest."
        )
    seconds = time.monotonic() - began
    if options.json:
        print(_as_json(rows, notes, seconds))
    else:
        _print(rows, notes, absent, options.quick, seconds)
    return 0


def _measure(stand: Stand, sections: tuple[str, ...] | list[str]) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    notes: list[str] = []
    on_sqlite: dict[str, Callable[[Stand, Site], list[Row]]] = {
        "memory": measure.memory,
        "calls": measure.calls,
        "streams": measure.streams,
    }
    found: dict[str, list[Row]] = {}
    if on_sqlite.keys() & set(sections):
        _say("making a site on SQLite")
        site = Site(stand.folder / "sqlite", upstream_port=stand.upstream.port)
        for name in (name for name in on_sqlite if name in sections):
            _say(name)
            found[name] = on_sqlite[name](stand, site)
    if "postgres" in sections:
        _say("postgres")
        try:
            found["postgres"] = measure.postgres(stand)
        except services.Missing as exc:
            notes.append(f"The ledger on PostgreSQL is skipped: it {exc}.")
    if "limits" in sections:
        _say("limits")
        found["limits"] = limits.limits(stand, redis=False)
        try:
            found["limits"] += limits.limits(stand, redis=True)
        except services.Missing as exc:
            notes.append(f"Limits in Redis are skipped: it {exc}.")
    if "lending" in sections:
        _say("lending")
        found["lending"] = lending.rows(stand.folder / "lending", rounds=stand.rounds)
    if "ledger" in sections:
        _say("ledger")
        found["ledger"] = booking.rows(stand.folder / "ledger", stand.rounds)
    if "pure" in sections:
        _say("pure")
        found["pure"] = pure.rows(stand.rounds)
    if "usage" in sections:
        _say("usage: a million requests on each database, some ten minutes")
        found["usage"] = usage.rows(stand.folder / "usage", quick=stand.quick)
    for name in (*SECTIONS, *LONG):
        rows += found.get(name, [])
    return rows, notes


def _say(what: str) -> None:
    print(f"bench: {what} …", file=sys.stderr, flush=True)


def _print(rows: list[Row], notes: list[str], absent: str, quick: bool, seconds: float) -> None:
    print(figures.table(rows, nginx_absent=absent))
    print()
    print(
        f"Median of the rounds (lowest–highest){', few and short ones' if quick else ''}.", end=" "
    )
    print(f"{_machine()}. {seconds:.0f} s.")
    for note in notes:
        print(note)


def _as_json(rows: list[Row], notes: list[str], seconds: float) -> str:
    return json.dumps(
        {
            "machine": _machine(),
            "seconds": round(seconds, 1),
            "rows": [row.as_data() for row in rows],
            "notes": notes,
        },
        ensure_ascii=False,
    )


def _machine() -> str:
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{psutil.cpu_count()} × {name}, {platform.system()}, {python}"


def _allow_files() -> None:
    """A stream that is open costs the gateway two files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < WANTED_FILES:
        limit = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument(
        "--only", action="append", choices=(*SECTIONS, *LONG), help="may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
