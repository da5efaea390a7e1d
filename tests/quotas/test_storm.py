"""Several processes at random on one database: nobody overdraws, nobody waits for ever, and the proof passes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.e2e.processes import ROOT, clean_environment
from tests.services import Missing, give_up, postgres_database

PROCESSES, OPS = 4, 150
TIMEOUT_S = 100


def started(env, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.quotas.storm", *map(str, arguments)],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def result_of(process):
    out, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, said[-3000:]
    return json.loads(out.splitlines()[-1])


@pytest.fixture(params=["sqlite", "postgres"])
def environment(request, tmp_path):
    known = {
        "DJANGO_SETTINGS_MODULE": "gateway.settings.base",
        "ENV_FILE": "",
        "DATA_DIR": str(tmp_path),
    }
    if request.param == "sqlite":
        yield clean_environment(**known)
        return
    try:
        with postgres_database() as url:
            yield clean_environment(**known, DATABASE_URL=url)
    except Missing as exc:
        give_up(str(exc))


def test_several_processes_at_random_keep_the_ledger_exact(environment):
    made = result_of(started(environment, "make"))
    running = [started(environment, "run", seed, OPS) for seed in range(1, PROCESSES + 1)]
    outcomes = [result_of(process) for process in running]
    assert [one.pop("failures") for one in outcomes] == [[]] * PROCESSES
    ended = result_of(started(environment, "end"))
    assert ended["wrong"] == []
    assert (ended["holds"], ended["overdrawn"]) == (0, 0)
    assert ended["balances"] == len(made["ids"])
    assert 0 < ended["redeemed"] <= 15
    print(f"{PROCESSES} processes: {ended['entries']} entries, {outcomes}")  # noqa: T201 - figures for whoever asks with -s
