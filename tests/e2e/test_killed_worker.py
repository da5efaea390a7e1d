"""kill -9 of a worker in the middle of a refresh: the message, the token and the login survive it, on both brokers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from gateway.watch import EXIT_CODE
from tests.e2e.processes import ROOT, Child, clean_environment, eventually
from tests.e2e.searching import leaks_in, redis_values
from tests.fakes.google import FakeGoogle
from tests.services import Missing, give_up, postgres_database, redis_database

CLIENT = ("worker-client.apps.googleusercontent.com", "GOCSPX-workerClientSecretOfTheTest")
ACCESS, REFRESH = "ya29.workerTestAccessToken000001", "1//workerTestRefreshToken000001"
TASK_TIME_LIMIT_S = 5

# Leases end after up to a minute; here time passes at once.
_TIME_PASSES = """
from datetime import timedelta
from django.utils import timezone
from credentials.models import Credential
from gateway.lib.jobs import Job
past = timezone.now() - timedelta(seconds=1)
print(Job.objects.filter(state="running").update(lease_until=past))
print(Credential.objects.exclude(refresh_lease_until=None).update(refresh_lease_until=past))
"""
_SECRET = """
import json
from credentials.models import Credential
row = Credential.objects.get()
print(json.dumps({**row.secret.open(), "state": row.state}))
"""


@dataclass
class Site:
    """Settings, a database with one login whose token has expired, and workers without beat."""

    folder: Path
    env: dict[str, str]
    redis_url: str
    workers: list[Child] = field(default_factory=list)

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shell(self, program: str) -> str:
        return self.manage("shell", "--verbosity", "0", "-c", program)

    def worker(self) -> Child:
        arguments = ["-m", "celery", "-A", "gateway.celery", "worker", "--pool", "threads"]
        arguments += ["--concurrency", "2", "--loglevel", "INFO"]
        worker = Child(*arguments, env=self.env, log=self.log)
        self.workers.append(worker)
        return worker

    def send(self, task: str) -> None:
        call = [sys.executable, "-m", "celery", "-A", "gateway.celery", "call", task]
        subprocess.run(call, cwd=ROOT, env=self.env, check=True, capture_output=True, timeout=60)

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    def messages(self) -> list[tuple[str, bytes]]:
        """All that the broker holds."""
        if self.redis_url:
            return list(redis_values(self.redis_url))
        files = (self.folder / "data" / "broker" / "queue").iterdir()
        return [(file.name, file.read_bytes()) for file in files if file.is_file()]

    def unacknowledged(self) -> int:
        if self.redis_url:
            with redis.Redis.from_url(self.redis_url) as client:
                return client.hlen("unacked")
        return sum(name.endswith(".taken") for name, _ in self.messages())


@pytest.fixture
def google():
    with FakeGoogle.running() as fake:
        fake.add_account(
            access_token=ACCESS,
            refresh_token=REFRESH,
            client_id=CLIENT[0],
            client_secret=CLIENT[1],
            email="bob@example.com",
        )
        yield fake


@pytest.fixture
def servers():
    """REDIS_URL and DATABASE_URL."""
    with ExitStack() as stack:
        try:
            urls = [stack.enter_context(each()) for each in (redis_database, postgres_database)]
        except Missing as exc:
            give_up(str(exc))
        yield urls


@pytest.fixture(params=["files", "redis"])
def site(request, tmp_path, google):
    """Its Redis is nobody else's: the worker of another gateway would take its messages."""
    redis_url = database = ""
    if request.param == "redis":
        redis_url, database = request.getfixturevalue("servers")
    env = clean_environment(
        ENV_FILE="",
        DATA_DIR=str(tmp_path / "data"),
        OAUTH_PROXY_URL=google.url,
        TASK_TIME_LIMIT_S=str(TASK_TIME_LIMIT_S),
        **({"REDIS_URL": redis_url, "DATABASE_URL": database} if redis_url else {}),
    )
    (tmp_path / "data").mkdir()
    site = Site(tmp_path, env, redis_url)
    site.manage("migrate", "--verbosity", "0")
    login = tmp_path / "login.json"
    fields = {"client_id": CLIENT[0], "client_secret": CLIENT[1], "refresh_token": REFRESH}
    fields |= {"token": ACCESS, "expiry": "2026-01-01T00:00:00Z", "project_id": "fake-project"}
    login.write_text(json.dumps(fields))
    site.manage("import_credentials", str(login))
    yield site
    for worker in site.workers:
        worker.end()


def test_what_a_killed_worker_had_in_hand_is_done_by_another(site, google):
    google.script("slow_refresh", seconds=15, times=1)
    first = site.worker()
    site.send("credentials.tasks.refresh_logins")
    google.wait_until(google.refreshes, timeout_s=60)
    assert site.unacknowledged() == 1
    assert leaks_in(site.messages(), [ACCESS, REFRESH, CLIENT[1]]) == []
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    assert site.unacknowledged() == 1
    assert site.shell(_TIME_PASSES).split() == ["1", "1"]

    site.worker()
    # Redis gives the message back when the first can no longer be at it.
    google.wait_until(lambda: len(google.refreshes()) == 2, timeout_s=60)
    secret = eventually(
        lambda: (found := json.loads(site.shell(_SECRET)))["access_token"] != ACCESS and found,
        "the new token is stored",
    )
    assert (secret["state"], secret["refresh_token"]) == ("active", REFRESH)
    eventually(lambda: site.unacknowledged() == 0, "the message is acknowledged")
    assert len(google.refreshes()) == 2
    assert leaks_in(site.messages(), [secret["access_token"], REFRESH, CLIENT[1]]) == []
    assert leaks_in([("log", site.log.read_bytes())], [ACCESS, REFRESH, CLIENT[1]]) == []


@pytest.mark.parametrize("site", ["files"], indirect=True)
def test_a_worker_in_which_a_task_hangs_ends_to_be_started_again(site, google):
    google.script("slow_refresh", seconds=19, times=1)
    first = site.worker()
    site.send("credentials.tasks.refresh_logins")
    google.wait_until(google.refreshes, timeout_s=60)
    assert first.process.wait(timeout=60) == EXIT_CODE
    assert "refresh_logins hangs" in site.log.read_text()
    assert site.unacknowledged() == 1
    site.shell(_TIME_PASSES)
    site.worker()
    google.wait_until(lambda: len(google.refreshes()) == 2, timeout_s=60)
    eventually(lambda: site.unacknowledged() == 0, "the message is acknowledged")
