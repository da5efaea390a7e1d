"""What the ledger costs by itself, and what each further balance adds: batches of 32 calls on SQLite, in a process of their own.

`python -m tests.bench --only ledger`; as a program, with a database that was migrated, it prints the figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.figures import Row
from tests.bench.processes import ROOT, Broken, environment

SECTION = "The ledger alone: a reservation and its charge, SQLite"
CASES = {
    "one balance": 1,
    "two balances": 2,
    "three balances": 3,
    "one balance with a limit by day": -1,
    "three balances with limits by day": -3,
}
BATCH = 32
ROUND_S = 0.25
KEYS = 50
PATIENCE_S = 300.0


def rows(folder: Path, rounds: int) -> list[Row]:
    folder.mkdir()
    env = environment(
        DJANGO_SETTINGS_MODULE="gateway.settings.base", ENV_FILE="", DATA_DIR=str(folder)
    )
    for arguments in (("manage.py", "migrate", "--verbosity", "0"), ("-m", __name__, str(rounds))):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            process_group=0,
            check=False,
        )
        if done.returncode:
            raise Broken(f"{arguments} failed:\n{done.stderr[-1500:]}")
    found = json.loads(done.stdout)
    return [Row(SECTION, f"CPU per call, {what}", BATCH, "µs", found[what]) for what in CASES]


def main(rounds: int) -> None:
    # A program of its own from here on: the table's process knows no Django.
    import django

    django.setup()
    runs = {what: _booker(accounts) for what, accounts in CASES.items()}
    found: dict[str, list[float]] = {what: [] for what in CASES}
    for _ in range(rounds):
        # In turns, so that a noisy moment meets all of them.
        for what, run in runs.items():
            found[what].append(_us(run))
    sys.stdout.write(json.dumps(found))


def _booker(count: int) -> Callable[[], None]:
    """Reserves a batch of calls and charges the batch before, as a busy process does: each on `count` balances, below zero with
    limits by day."""
    from quotas import ledger, services
    from quotas.ledger import Close, Reserve
    from quotas.terms import Account

    limit = 10**15 if count < 0 else None

    def account() -> Account:
        return Account(services.open_balance(total_micros=10**15).pk, day_micros=limit)

    # A key each, and few owners and groups.
    shared = [[account() for _ in range(3)] for _ in range(abs(count) - 1)]
    keys = [(account(), *(some[number % 3] for some in shared)) for number in range(KEYS)]
    numbers = iter(range(10**9))
    open_ids: list[str] = []

    def run() -> None:
        ids = [f"{count}-{next(numbers)}" for _ in range(BATCH)]
        closes = [Close(request_id, 2_000_000, "answered") for request_id in open_ids]
        reserves = [
            Reserve(request_id, keys[number % KEYS], 3_000_000)
            for number, request_id in enumerate(ids)
        ]
        ledger.book(reserves, closes, holder_id="bench")
        open_ids[:] = ids

    return run


def _us(run: Callable[[], None]) -> float:
    """CPU time of a call."""
    batches = 0
    began = time.process_time()
    while (spent_s := time.process_time() - began) < ROUND_S:
        run()
        batches += 1
    return 1e6 * spent_s / (batches * BATCH)


if __name__ == "__main__":
    main(int(sys.argv[1]))
