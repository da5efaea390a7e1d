"""A gateway as its operator runs it: a fresh DATA_DIR, `manage.py migrate`, `manage.py serve`."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import signal
import string
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.e2e.processes import ROOT, START_TIMEOUT_S, Child, clean_environment, eventually
from tests.e2e.searching import leaks_in, redis_values
from tests.fakes.google import FakeGoogle

Json = dict[str, Any]

MICROS = 1_000_000
MAX_BODY_BYTES = 2 * 1024 * 1024
UPSTREAM_READ_TIMEOUT_S = 5.0
# Far above what several attempts take on a busy machine: an error after it comes inside the stream, with status 200.
KEEPALIVE_S = 0.6
# Beyond the time between two life signs of a web process.
HOLDER_LEASE_S = 2.0
OAUTH_CLIENT = ("site-client.apps.googleusercontent.com", "GOCSPX-siteClientSecretOfTheTests01")

_ALPHABET = string.ascii_letters + string.digits
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Lent:
    """A credential in the pool. `name` is what the fake knows it by: the API key, or the access token."""

    id: int
    provider: str
    name: str
    email: str = ""
    refresh_token: str = ""


class Gateway:
    """`stop` it in any case."""

    oauth_client = OAUTH_CLIENT

    def __init__(
        self,
        folder: Path,
        google: FakeGoogle,
        *,
        workers: int = 1,
        database_url: str = "",
        redis_url: str = "",
        keepalive_s: float = KEEPALIVE_S,
        **settings: str,
    ) -> None:
        self.google = google
        self.workers = workers
        self.data_dir = folder / "data"
        self.log = folder / "serve.log"
        self.redis_url = redis_url
        self.planted: set[str] = set()
        self.panel_password = self.plant("panel-" + _random(24))
        self._seen_log_bytes = 0
        known: dict[str, str] = {
            "DJANGO_SETTINGS_MODULE": "gateway.settings.base",
            "ENV_FILE": "",
            "DATA_DIR": str(self.data_dir),
            **({"DATABASE_URL": database_url} if database_url else {}),
            **({"REDIS_URL": redis_url} if redis_url else {}),
            "PANEL_PASSWORD": self.panel_password,
            "GEMINI_API_URL": google.url,
            "CODE_ASSIST_ENDPOINT": google.url,
            "OAUTH_PROXY_URL": google.url,
            "GOOGLE_AUTH_URL": f"{google.url}/o/oauth2/v2/auth",
            "GOOGLEAPIS_PROXY_URL": google.url,
            "RESOURCE_MANAGER_API_URL": google.url,
            "SERVICE_USAGE_API_URL": google.url,
            "GOOGLE_OAUTH_CLIENT_ID": OAUTH_CLIENT[0],
            "GOOGLE_OAUTH_CLIENT_SECRET": self.plant(OAUTH_CLIENT[1]),
            "FEED_INTERVAL_S": "0.05",
            # Upkeep asks Google nothing by itself: tests count the calls.
            "PROBES_PER_HOUR": "0",
            "QUOTA_READINGS_PER_HOUR": "0",
            "SWEEP_INTERVAL_S": "1",
            "HOLDER_LEASE_S": str(HOLDER_LEASE_S),
            "RETRY_429_INTERVAL": "0.05",
            "STREAM_KEEPALIVE_S": str(keepalive_s),
            "UPSTREAM_READ_TIMEOUT_S": str(UPSTREAM_READ_TIMEOUT_S),
            "MAX_BODY_BYTES": str(MAX_BODY_BYTES),
            "DRAIN_TIMEOUT_S": "30",
            # All tests lend from this machine.
            "LENDING_ATTEMPTS_PER_HOUR": "100000",
            "LENDING_MAX_PENDING": "1000",
            "WRONG_KEYS_PER_MINUTE": "100000",
            "API_THROTTLE_ANON": "0",
            "API_THROTTLE_USER": "0",
            "API_WRONG_TOKENS": "0",
        }
        self._env = clean_environment(**(known | settings))
        self.data_dir.mkdir(parents=True)
        self.url = ""
        self._folder = folder
        self._hand: Child | None = None
        self.serve: Child | None = None

    def set_up(self) -> None:
        self.manage("migrate", "--verbosity", "0")
        self.open_hand()
        self._site_key = self.key(1_000_000)
        self.start()

    def open_hand(self) -> None:
        """Anew when its database was away."""
        if self._hand:
            self._hand.end()
        self._hand = Child("-m", "tests.e2e.hand", env=self._env, log=self._folder / "hand.log")

    def start(self) -> None:
        arguments = ["serve", "--host", "127.0.0.1", "--port", "0", "--json"]
        arguments += ["--workers", str(self.workers)]
        self.serve = Child("manage.py", *arguments, env=self._env, log=self.log)
        self.url = self.serve.read()["url"]

    def restart(self) -> None:
        """On another port; the one before need not run any more."""
        self.serve.end()
        self.start()

    def change_settings(self, **settings: str) -> None:
        """For what is started from now on; "" takes one away."""
        for name, value in settings.items():
            if value:
                self._env[name] = value
            else:
                self._env.pop(name, None)

    def stop(self) -> int:
        """The exit code of `serve`."""
        if self._hand:
            self._hand.end()
        return self.serve.end() if self.serve else 0

    # ------------------------------------------------------------------ what an operator does

    def manage(self, *arguments: str, code: int | None = 0, errors: bool = False) -> Any:
        """What the command says; its JSON with --json. `code` None: however it ends. `errors`: what it says of those."""
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
        assert code in (None, done.returncode), (
            f"{arguments}: {done.stdout[-1500:]}{done.stderr[-3000:]}"
        )
        if errors:
            return done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    def hand(self, do: str, **details: Any) -> Any:
        """One of the actions of `hand.py`."""
        answer = self._hand.ask({"do": do, **details})
        assert "error" not in answer, f"the hand failed at {do}: {answer['error']}"
        return answer["result"]

    def key(self, quota: float = 1000, **options: Any) -> str:
        issued = self.hand("issue_key", quota_micros=round(quota * MICROS), **options)
        return self.plant(issued["key"])

    def balance(self, key: str) -> Json:
        """total, used, reserved, remaining in credits."""
        return {name: micros / MICROS for name, micros in self.hand("balance", key=key).items()}

    def operator(self) -> httpx.Client:
        """A program with the panel password."""
        client = client_of(self.url)
        client.headers["authorization"] = f"Bearer {self.panel_password}"
        return client

    def person(self, role: str) -> tuple[str, str]:
        """(user name, password) of somebody new who can sign in."""
        name, password = f"{role}-{next(_numbers)}", self.plant("Pass-" + _random(20))
        self.hand("person", username=name, password=password, role=role)
        return name, password

    def lend(self, *providers: str, known: bool = True) -> list[Lent]:
        """New credentials instead of all others, known to every web process when this returns."""
        lent = [self._credential(provider, known) for provider in providers]
        ids = self.lend_stored(*(stored for stored, _ in lent))
        return [Lent(pk, **facts) for pk, (_, facts) in zip(ids, lent, strict=True)]

    def lend_stored(self, *stored: Json) -> list[int]:
        """The same for arguments of `credentials.services.store`; the ids."""
        marker = f"marker-{next(_numbers)}"
        ids = self.hand("lend", lent=stored, marker=marker)
        self._await_marker(marker)
        return ids

    def set_price(self, pattern: str, **rates: int) -> None:
        """Rates in micros, as the fields of Price; known to every web process when this returns."""
        marker = f"marker-{next(_numbers)}"
        self.hand("price", pattern=pattern, marker=marker, **rates)
        self._await_marker(marker)

    def api_key(self, *, known: bool = True) -> str:
        """A new one of Google's form, which the fake accepts unless told otherwise."""
        key = self.plant("AIza" + _random(35))
        if known:
            self.google.add_api_key(key)
        return key

    def login(self, *, client: tuple[str, str] | None = None, **account: Any) -> Json:
        """A new person whom the fake knows: email, project, access_token, refresh_token, client_id, client_secret."""
        number = next(_numbers)
        client_id, client_secret = client or (
            f"client{number}.apps.googleusercontent.com",
            "GOCSPX-" + _random(28),
        )
        facts = {
            "email": f"person{number}@example.com",
            "project": f"project-{number}",
            "access_token": "ya29." + _random(40),
            "refresh_token": "1//" + _random(40),
            "client_id": client_id,
            "client_secret": client_secret,
        } | account
        for name in ("access_token", "refresh_token", "client_secret"):
            self.plant(facts[name])
        self.google.add_account(**facts)
        return facts

    def _credential(self, provider: str, known: bool) -> tuple[Json, Json]:
        """(what is stored, what a test knows it by)."""
        if provider == "gemini_api":
            key = self.api_key(known=known)
            return (
                {"provider": provider, "secret": {"api_key": key}},
                {"provider": provider, "name": key},
            )
        login = self.login()
        secret = {name: login[name] for name in ("client_id", "client_secret", "refresh_token")}
        secret |= {"access_token": login["access_token"], "expires_at": 4_000_000_000.0}
        secret |= {"token_uri": "", "scopes": []}
        stored = {"provider": provider, "secret": secret}
        stored |= {"project": login["project"], "email": login["email"]}
        return stored, {
            "provider": provider,
            "name": login["access_token"],
            "email": login["email"],
            "refresh_token": login["refresh_token"],
        }

    def plant_issued(self) -> None:
        """What the fake handed out since it was reset: codes and tokens are secrets as well."""
        known = self.google.directory
        self.planted |= {*known.codes, *known.access_tokens, *known.refresh_tokens}

    def plant(self, secret: str) -> str:
        """It must never lie in clear in a log or the database."""
        self.planted.add(secret)
        return secret

    # ------------------------------------------------------------------ its processes

    def web_pids(self) -> list[int]:
        children = psutil.Process(self.serve.process.pid).children()
        return [child.pid for child in children if "gateway.server" in _command(child)]

    @contextmanager
    def only(self, pid: int) -> Iterator[None]:
        """New connections are this web process's: the others hold still meanwhile."""
        others = [other for other in self.web_pids() if other != pid]
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            yield
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)

    @contextmanager
    def lane(self, pid: int) -> Iterator[httpx.Client]:
        """A client with one connection, to this web process."""
        limits = httpx.Limits(max_connections=1)
        with client_of(self.url, limits=limits) as client:
            with self.only(pid):
                client.get("/v1/accept-me")
            yield client

    def know_all_changes(self) -> None:
        """Wait until every web process has read what the database holds now."""
        marker = f"marker-{next(_numbers)}"
        self.hand("mark", marker=marker)
        self._await_marker(marker)

    def _await_marker(self, marker: str) -> None:
        headers = {"authorization": f"Bearer {self._site_key}"}
        for pid in self.web_pids():
            with self.lane(pid) as client:
                eventually(
                    lambda client=client: (
                        client.get(f"/v1/models/{marker}", headers=headers).status_code == 200
                    ),
                    f"process {pid} learns of a change",
                )

    # ------------------------------------------------------------------ what it leaves behind

    def settled(self) -> None:
        """Wait until no reservation is open."""
        eventually(lambda: self.hand("holds") == 0, "every reservation is closed")

    def explained(self, request_id: str) -> Json:
        """The management API's answer about a request; rows are written in batches, after the answer."""
        headers = {"authorization": f"Bearer {self.panel_password}"}
        with httpx.Client(
            base_url=self.url, headers=headers, trust_env=False, timeout=20
        ) as client:

            def asked() -> Json | None:
                response = client.get(f"/api/requests/{request_id}")
                assert response.status_code in (200, 404), response.text
                return response.json() if response.status_code == 200 else None

            return eventually(asked, f"the request log has {request_id}")

    def new_log(self) -> str:
        """What was logged since the last time."""
        with self.log.open("rb") as log:
            log.seek(self._seen_log_bytes)
            said = log.read()
        self._seen_log_bytes += len(said)
        return said.decode(errors="replace")

    def leaks(self) -> list[str]:
        """Where planted secrets lie in clear: the rows of the database, the files of DATA_DIR, the log, and Redis."""
        places = [("database", self.hand("dump").encode())]
        for file in (*self.data_dir.rglob("*"), self.log):
            with suppress(FileNotFoundError):  # a message that was taken meanwhile
                if file.is_file():
                    places.append((file.name, file.read_bytes()))
        if self.redis_url:
            places += redis_values(self.redis_url)
        return leaks_in(places, self.planted)


def client_of(url: str, **options: Any) -> httpx.Client:
    """`verify` off: nothing here speaks TLS, and loading the authorities takes longer than a test's calls."""
    return httpx.Client(base_url=url, trust_env=False, verify=False, timeout=30, **options)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
