"""The windows are exact, however many processes and threads ask at once."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from tests.e2e.processes import clean_environment
from tests.services import postgres_database

ROOT = Path(__file__).parents[2]
PROCESSES, THREADS = 4, 2


@pytest.fixture
def own_database_url():
    with postgres_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def crowd(request, tmp_path):
    """Eight threads of four processes, each of which does the jobs one after the other: what each job was granted."""
    environment, redis_url = {"DATA_DIR": str(tmp_path), "ENV_FILE": ""}, ""
    environment["DJANGO_SETTINGS_MODULE"] = "gateway.settings.base"
    if request.param == "postgres":
        # A database of its own: others have these tables already, and need them.
        request.getfixturevalue("postgres_url")
        environment["DATABASE_URL"] = request.getfixturevalue("own_database_url")
    if request.param == "redis":
        redis_url = request.getfixturevalue("redis_url")
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()

    def start(**what):
        return subprocess.Popen(
            [sys.executable, "-m", "tests.quotas.taking", json.dumps(what)],
            cwd=ROOT,
            env=clean_environment(**environment),
            stdout=subprocess.PIPE,
            text=True,
        )

    def finish(process):
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        return said

    if request.param != "redis":
        finish(start(make=True))

    def ask(*jobs):
        options = {"redis_url": redis_url, "threads": THREADS, "jobs": jobs}
        processes = [start(name=f"process{n}", **options) for n in range(PROCESSES)]
        said = [json.loads(finish(process)) for process in processes]
        return [[one for got in said for one in got[job["scope"]]] for job in jobs]

    return ask


def test_eight_threads_of_four_processes_get_exactly_what_is_allowed(crowd):
    a_minute, a_day, unended, at_once = crowd(
        {"scope": "u1", "calls": 25, "rpm": 50},
        {"scope": "u2", "calls": 25, "rpd": 50, "time_zone": zone_at_noon()},
        {"scope": "u3", "calls": 25, "at_once": 50, "release": False},
        {"scope": "u4", "calls": 25, "at_once": 3, "hold_s": 0.002},
    )
    assert len(a_minute) == len(a_day) == len(unended) == 50
    assert 0 < most_at_once(at_once) <= 3


def zone_at_noon():
    """So that no midnight comes in between."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"


def most_at_once(calls):
    moments = [(one["began"], 1) for one in calls] + [(one["ended"], -1) for one in calls]
    most = now = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most
