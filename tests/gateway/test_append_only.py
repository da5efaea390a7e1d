"""What the migrations make of real databases: the ledger and the audit log take no change, and an upgrade loses nothing."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import psycopg
import pytest

from tests.conftest import APPEND_ONLY
from tests.e2e.processes import ROOT, clean_environment
from tests.services import Missing, give_up, postgres_database

TIMEOUT_S = 110
BALANCE = (
    "INSERT INTO quotas_balance (id, label, open_ended, total_micros, used_micros, reserved_micros, "
    "remaining_micros, day, day_micros, week_micros, month_micros, shared_out_micros, created_at) "
    "VALUES (1, '', false, 5, 0, 0, 5, 0, 0, 0, 0, 0, '2026-01-01')"
)
ROWS = {
    "quotas_entry": "(balance_id, kind, amount_micros, reserved_micros, reason, actor, created_at) "
    "VALUES (1, 'grant', 5, 0, '', '', '2026-01-01')",
    "gateway_auditentry": "(at, actor, address, action, subject, before, after, detail) "
    "VALUES ('2026-01-01', 'alice', '', 'keys.create', '', '{}', '{}', '{}')",
}


class Site:
    """An empty database, and two ways to it: the project's commands and the driver."""

    def __init__(self, folder, url, connect, refusals):
        known = {"DJANGO_SETTINGS_MODULE": "gateway.settings.base", "ENV_FILE": ""}
        self.environment = clean_environment(
            **known, DATA_DIR=str(folder), **({"DATABASE_URL": url} if url else {})
        )
        self.connect = connect
        self.refusals = refusals
        self.has_truncate = bool(url)

    def run(self, *arguments):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def statement(self, text):
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(text)
            rows = cursor.fetchall() if cursor.description else []
            connection.commit()
            return rows


@pytest.fixture(params=["sqlite", "postgres"])
def site(request, tmp_path):
    if request.param == "sqlite":
        file = tmp_path / "wellspring.sqlite3"
        yield Site(tmp_path, "", lambda: sqlite3.connect(file), sqlite3.IntegrityError)
        return
    try:
        with postgres_database() as url:
            yield Site(tmp_path, url, lambda: psycopg.connect(url), psycopg.IntegrityError)
    except Missing as exc:
        give_up(str(exc))


def test_rows_that_are_written_once_are_neither_changed_nor_deleted(site):
    site.run("manage.py", "migrate", "--verbosity", "0")
    site.statement(BALANCE)
    attempts = ["UPDATE {} SET actor = 'charlie'", "UPDATE {} SET id = id + 1", "DELETE FROM {}"]
    attempts += ["TRUNCATE {} CASCADE"] * site.has_truncate
    for table in APPEND_ONLY:
        site.statement(f"INSERT INTO {table} {ROWS[table]}")
        for attempt in attempts:
            with pytest.raises(site.refusals, match=f"{table} is append-only"):
                site.statement(attempt.format(table))
        assert site.statement(f"SELECT count(*) FROM {table} WHERE actor <> 'charlie'") == [(1,)]
    # And the way back, for whoever has to repair by hand.
    site.run("manage.py", "migrate", "--verbosity", "0", "quotas", "0006")
    site.statement("UPDATE quotas_entry SET actor = 'charlie'")
    site.run("manage.py", "migrate", "--verbosity", "0")
    with pytest.raises(site.refusals):
        site.statement("UPDATE quotas_entry SET actor = 'alice'")


def test_a_database_of_the_release_before_comes_over_and_proves(site):
    told = json.loads(site.run("-m", "tests.upgrading").splitlines()[-1])
    assert told == {
        "balances": 3,
        "wrong": [],
        "holds": 0,
        "refunded": ["open_0", "open_1", "open_2"],
        "open_ended": [False, False, True],
        "models": [None, ["gemini-*"], None],
        "booked": [True, 840, False],
        "audited": 1,
        "receipt": 100,
    }
