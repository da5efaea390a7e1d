"""A million requests on each database: what every list and every chart of the API costs, and what it takes to write and to add up.

`python -m tests.bench --only usage`. Run as a module of its own it is the child that measures one database:
`DATABASE_URL=… python -m tests.bench.usage [--count N] [--only WORD]` fills it where it is empty, and prints JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from tests import services
from tests.bench.figures import Row
from tests.bench.processes import ROOT, Broken, environment

SECTION = "Usage, a million requests"
COUNT = 1_000_000
LIMIT_MS = 300
ROUNDS = 3
_PANEL = "bench-panel-password"
# The end of the made month; nothing depends on the day this runs.
UNTIL = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
_NOBODY = 999_999_999


def rows(folder: Path, *, quick: bool) -> list[Row]:
    folder.mkdir()
    count = COUNT // 20 if quick else COUNT
    found = [_row("SQLite", one) for one in _child(folder / "sqlite", count, "")]
    try:
        with services.postgres_database() as url:
            found += [_row("PostgreSQL", one) for one in _child(folder / "postgres", count, url)]
    except services.Missing:
        pass
    return found


def _row(database: str, one: dict[str, Any]) -> Row:
    queries = f", {one['queries']} queries" if one["queries"] else ""
    target = f"≤ {LIMIT_MS}" if one["limited"] else ""
    what = f"{one['what']} ({database}{queries})"
    return Row(SECTION, what, None, one["unit"], one["values"], target=target)


def _child(folder: Path, count: int, database_url: str) -> list[dict[str, Any]]:
    folder.mkdir()
    env = environment(
        DJANGO_SETTINGS_MODULE="gateway.settings.base",
        ENV_FILE="",
        DATA_DIR=str(folder),
        PANEL_PASSWORD=_PANEL,
        API_THROTTLE_USER="1000000",
        **({"DATABASE_URL": database_url} if database_url else {}),
    )
    command = [sys.executable, "-m", "tests.bench.usage", "--count", str(count)]
    done = subprocess.run(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise Broken(f"measuring the usage ended with {done.returncode}")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


# ---------------------------------------------------------------------- the child


@dataclass(frozen=True)
class Question:
    what: str
    path: str


def questions(cursor: str) -> Iterator[Question]:
    """Every list and chart with every single filter: common, rare, and nothing. `cursor`: of the last page of all."""
    end = UNTIL.strftime("%Y-%m-%dT%H:%M:%SZ")
    month = _span(30)
    some = {
        "key": (1, 4000, _NOBODY),
        "user": (1, 1500, _NOBODY),
        "group": (1, 20, _NOBODY),
        "credential": (1, 7777, _NOBODY),
        "model": ("gemini-2.0-flash", "gemini-5.9-flash", "no-such-model"),
        "dialect": ("openai-chat", "simple", "no-such-dialect"),
    }
    requests = "/api/requests?"
    yield Question("requests", requests)
    yield Question("requests, last page", f"{requests}cursor={cursor}")
    yield Question("requests, pages of 500", f"{requests}page_size=500")
    singles = {
        **some,
        "status_class": ("success", "error", "4xx", "5xx"),
        "status": (504, 418, 302),
        "error_code": ("rate_limit_exceeded", "internal_error", "no_such_code"),
        "request_id": (f"req_{0:032x}", "none"),
        "charged": ("true", "false"),
        "stream": ("true", "false"),
        "since": ("2026-11-20T20:00:00Z", "2026-10-22T00:00:00Z", "2027-01-01T00:00:00Z"),
        "until": (end, "2026-10-21T22:00:00Z", "2020-01-01T00:00:00Z"),
    }
    for name, values in singles.items():
        for value in values:
            yield Question(f"requests {name}={value}", f"{requests}{name}={value}")
            if name not in ("request_id", "since", "until", "status", "error_code"):
                last = f"{requests}{name}={value}&cursor={cursor}"
                yield Question(f"requests {name}={value}, last page", last)
    yield Question(
        "requests of an hour two weeks ago",
        f"{requests}since=2026-11-06T10:00:00Z&until=2026-11-06T11:00:00Z",
    )
    yield Question("requests key=1 error", f"{requests}key=1&status_class=error")
    yield Question("requests dialect, a code", f"{requests}dialect=simple&error_code=no_such_code")
    usage = "/api/usage?"
    for by in ("model", "key", "user", "group", "credential", "dialect"):
        yield Question(f"usage by={by}, 30 days", f"{usage}by={by}&{month}")
        yield Question(f"usage by={by}, 7 days", f"{usage}by={by}&{_span(7)}")
        yield Question(f"usage by={by}, 24 hours", f"{usage}by={by}&{_span(1)}")
        yield Question(f"usage by={by}, page 40", f"{usage}by={by}&page=40&{month}")
        yield Question(f"usage by={by}, by errors", f"{usage}by={by}&sort=errors&{month}")
        for name, values in some.items():
            for value in values:
                what = f"usage by={by} {name}={value}, 30 days"
                yield Question(what, f"{usage}by={by}&{name}={value}&{month}")
    chart = "/api/usage/series?"
    for name, values in {"": ("",), **some}.items():
        for value in values:
            asked = f"{name}={value}&" if name else ""
            what = f"series {asked.strip('&') or 'site'}, "
            yield Question(f"{what}30 days", f"{chart}{asked}{month}")
            yield Question(f"{what}24 hours", f"{chart}{asked}step=hour&{_span(1)}")
            days = 7 if name in ("key", "user", "credential") else 31
            yield Question(f"{what}{days} days of hours", f"{chart}{asked}step=hour&{_span(days)}")
            if name != "model":
                yield Question(f"{what}30 days by model", f"{chart}{asked}split=model&{month}")
                split = f"{chart}{asked}split=model&step=hour&{_span(7)}"
                yield Question(f"{what}7 days of hours by model", split)


def _span(days: int) -> str:
    since = UNTIL - timedelta(days=days)
    return f"since={since:%Y-%m-%dT%H:%M:%SZ}&until={UNTIL:%Y-%m-%dT%H:%M:%SZ}"


def _measure(count: int, only: str) -> list[dict[str, Any]]:
    # Only the child has a database, and only it may load Django.
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from apiproxy.models import RequestLog

    call_command("migrate", verbosity=0)
    found = [] if RequestLog.objects.exists() else _filled(count)
    client = Client(headers={"Authorization": f"Bearer {_PANEL}"})
    for question in questions(_last_cursor()):
        if only not in question.what:
            continue
        taken: list[float] = []
        busy: list[float] = []
        with CaptureQueriesContext(connection) as queries:
            client.get(question.path)
        asked = len(queries)
        for _ in range(ROUNDS):
            began, began_cpu = time.perf_counter(), _cpu_s()
            answer = client.get(question.path)
            taken.append(1000 * (time.perf_counter() - began))
            busy.append(1000 * (_cpu_s() - began_cpu))
        refused = answer.status_code == 400 and b"one by one" in answer.content
        if answer.status_code != 200 and not refused:
            raise AssertionError(f"{question.path}: {answer.status_code} {answer.content[:300]!r}")
        what = question.what + (" (refused: too many)" if refused else "")
        found.append(_figure(what, "ms", taken, queries=asked, limited=True) | {"cpu": min(busy)})
    return found


def _cpu_s() -> float:
    """Of this process and, on PostgreSQL, of those of the server that work for this database."""
    from django.db import connection

    used = time.process_time()
    if connection.vendor == "postgresql":
        for pid in _backends():
            with suppress(psutil.NoSuchProcess):
                spent = psutil.Process(pid).cpu_times()
                used += spent.user + spent.system
    return used


@lru_cache(maxsize=1)
def _backends() -> list[int]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        return [pid for (pid,) in cursor.fetchall()]


def _figure(
    what: str, unit: str, values: list[float], *, queries: int = 0, limited: bool = False
) -> dict[str, Any]:
    return {"what": what, "unit": unit, "values": values, "queries": queries, "limited": limited}


def _last_cursor() -> str:
    from rest_framework.pagination import Cursor as Place

    from apiproxy.api.pages import LogCursor

    paginator = LogCursor()
    paginator.base_url = "http://x/"
    link = paginator.encode_cursor(Place(offset=0, reverse=False, position="40"))
    return str(link).partition("cursor=")[2]


def _filled(count: int) -> list[dict[str, Any]]:
    from django.conf import settings
    from django.db import connection

    from apiproxy.models import UsageDay, UsageHour
    from apiproxy.services.retention import delete_old
    from apiproxy.services.rollup import roll_up
    from tests import usage_rows

    began = time.process_time()
    usage_rows.fill(count, until=UNTIL)
    found = [_figure(f"fill with {count:,} rows: CPU", "s", [time.process_time() - began])]
    began, started = time.process_time(), time.monotonic()
    roll_up(now=UNTIL, budget_s=1e9)
    found.append(_figure("add up 30 days of history: CPU", "s", [time.process_time() - began]))
    found.append(_figure("add up 30 days of history", "s", [time.monotonic() - started]))
    settings.REQUEST_RETENTION_DAYS = 0
    delete_old(now=UNTIL, pause=lambda _: None, budget_s=1e9)
    with connection.cursor() as cursor:
        # As PostgreSQL does by itself after a while; nobody does it on SQLite.
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM ANALYZE")
    found.append(_figure("rows of hours kept", "", [float(UsageHour.objects.count())]))
    found.append(_figure("rows of days kept", "", [float(UsageDay.objects.count())]))
    busy: list[float] = []
    for minute in range(1, 4):
        began = time.process_time()
        roll_up(now=UNTIL + timedelta(minutes=minute))
        busy.append(1000 * (time.process_time() - began))
    found.append(_figure("the round of a minute: CPU", "ms", busy))
    began = time.process_time()
    roll_up(now=UNTIL + timedelta(minutes=4), again=timedelta(hours=26))
    found.append(_figure("the round of an hour: CPU", "ms", [1000 * (time.process_time() - began)]))
    return found


def main() -> None:
    import django

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--only", default="", help="questions that hold this text")
    parser.add_argument("--slow", action="store_true", help="print a table of the slow ones")
    options = parser.parse_args()
    django.setup()
    found = _measure(options.count, options.only)
    if options.slow:
        for one in sorted(found, key=lambda one: -median(one["values"]))[:40]:
            cpu = one.get("cpu", 0.0)
            print(
                f"{median(one['values']):9.1f} {min(one['values']):9.1f} {cpu:9.1f} {one['queries']:3}  {one['what']}"
            )
    else:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
