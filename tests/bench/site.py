"""The gateway as an operator would run it: a fresh DATA_DIR, production settings, one key, one credential, `serve`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.bench.processes import ROOT, START_TIMEOUT_S, Broken, environment, running

API_PASSWORD = "bench-password"
# Google's form, and nobody's key.
FAKE_API_KEY = "AIza" + "B" * 35


@dataclass(frozen=True)
class Web:
    """A web process that serves."""

    port: int
    pid: int


class Site:
    def __init__(
        self, folder: Path, *, upstream_port: int, database_url: str = "", redis_url: str = ""
    ) -> None:
        self._folder = folder
        self._database_url = database_url
        data_dir = folder / "data"
        data_dir.mkdir(parents=True)
        self._env = environment(
            DJANGO_SETTINGS_MODULE="gateway.settings.base",
            ENV_FILE="",
            DATA_DIR=str(data_dir),
            GEMINI_API_URL=f"http://127.0.0.1:{upstream_port}",
            API_PASSWORD=API_PASSWORD,
            DRAIN_TIMEOUT_S="1",
            # The server's processes that are measured must not be replaced meanwhile.
            **({"DATABASE_URL": database_url} if database_url else {}),
            **({"REDIS_URL": redis_url} if redis_url else {}),
        )
        self._manage("migrate", "--verbosity", "0")
        keys = folder / "keys.txt"
        keys.write_text(FAKE_API_KEY)
        self._manage("import_credentials", str(keys))
        self.key: str = json.loads(self._manage("create_key", "--quota", "100000000", "--json"))[
            "key"
        ]

    def limited_key(self, **limits: int) -> str:
        """Another key, with these limits."""
        told = self._manage(
            "shell",
            "--no-imports",
            "-c",
            "from accounts.services import issue_key; from quotas.models import Limits; "
            "row, key = issue_key(quota_micros=10**17); "
            f"row.limits = Limits.objects.create(**{limits!r}); row.save(); print(key)",
        )
        return told.split()[-1]

    def _manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            process_group=0,
            check=False,
        )
        if done.returncode:
            raise Broken(f"manage.py {arguments[0]} failed:\n{(done.stdout + done.stderr)[-1500:]}")
        return done.stdout

    @contextmanager
    def serving(self) -> Iterator[Web]:
        """One web process; no worker beside it, which would only take turns on the same cores."""
        command = [sys.executable, "manage.py", "serve", "--host", "127.0.0.1", "--port", "0"]
        command += ["--workers", "1", "--no-worker", "--json"]
        with running(command, name="serve", folder=self._folder, env=self._env) as child:
            ready = child.read(START_TIMEOUT_S)
            yield Web(port=int(ready["url"].rpartition(":")[2]), pid=ready["web"][0])

    def database_pids(self) -> list[int]:
        """The server's processes that work for this site; none on SQLite."""
        if not self._database_url:
            return []
        question = (
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with psycopg.connect(self._database_url) as connection:
            return [pid for (pid,) in connection.execute(question).fetchall()]
