"""What the pool's operator waits for: a change that reaches every process, and a large import.

`python -m tests.bench --only lending`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from cryptography.fernet import Fernet

from tests import services
from tests.bench.figures import Row
from tests.e2e import mixed
from tests.e2e.dialects import OPENAI, ask
from tests.e2e.gateway import Gateway
from tests.fakes.google import FakeGoogle

SECTION = "Lending"
FILES = 2000
_GIVE_UP_S = 20.0
_RUNNING = ("queued", "running")


def rows(folder: Path, *, rounds: int) -> list[Row]:
    folder.mkdir()
    found: list[Row] = []
    with FakeGoogle.running() as google:
        for name, sites in (
            ("SQLite, 2 processes", _one_host(folder / "sqlite", google)),
            ("PostgreSQL and Redis, 2 hosts of 2 processes", _two_hosts(folder, google)),
        ):
            try:
                with sites as hosts:
                    reach = _reach(hosts, rounds)
            except services.Missing:
                continue
            what = f"a state change reaches every process: {name}"
            found.append(Row(SECTION, what, None, "ms", reach, target="≤ 1000"))
        found += _large_import(folder / "import", google)
    return found


# ---------------------------------------------------------------------- a change reaches every process


@contextmanager
def _one_host(folder: Path, google: FakeGoogle) -> Iterator[list[Gateway]]:
    folder.mkdir()
    site = Gateway(folder, google, workers=2, FEED_INTERVAL_S="0.5")
    try:
        site.set_up()
        yield [site]
    finally:
        site.stop()


@contextmanager
def _two_hosts(folder: Path, google: FakeGoogle) -> Iterator[list[Gateway]]:
    with services.postgres_database() as database_url, services.redis_database() as redis_url:
        shared = {"database_url": database_url, "redis_url": redis_url, "workers": 2}
        keys = {"ENCRYPTION_KEYS": Fernet.generate_key().decode(), "SECRET_KEY": "bench " * 10}
        hosts: list[Gateway] = []
        try:
            for number in range(2):
                host = folder / f"host-{number}"
                host.mkdir()
                site: Any = Gateway(host, google, FEED_INTERVAL_S="0.5", **keys, **shared)
                hosts.append(site)
                site.start() if number else site.set_up()
            yield hosts
        finally:
            for site in reversed(hosts):
                site.stop()


def _reach(hosts: list[Gateway], rounds: int) -> list[float]:
    """Milliseconds from the operator's word to the last process that follows it."""
    first = hosts[0]
    [lent] = first.lend("gemini_api")
    key = first.key(1_000_000)
    with ExitStack() as stack:
        lanes = [stack.enter_context(site.lane(pid)) for site in hosts for pid in site.web_pids()]
        threads = stack.enter_context(ThreadPoolExecutor(len(lanes)))
        found: list[float] = []
        for _ in range(rounds):
            _all_answer(threads, lanes, key, 200)
            told = time.monotonic()
            first.hand("decide", credential_id=lent.id, event="disabled")
            found.append(1000 * (_all_answer(threads, lanes, key, 503) - told))
            first.hand("decide", credential_id=lent.id, event="enabled")
        return found


def _all_answer(
    threads: ThreadPoolExecutor, lanes: list[httpx.Client], key: str, status: int
) -> float:
    """When the last of them did so for the first time."""

    def first_time(client: httpx.Client) -> float:
        deadline = time.monotonic() + _GIVE_UP_S
        while ask(client, OPENAI, key).status_code != status:
            if time.monotonic() > deadline:
                raise AssertionError(f"a process does not answer {status}")
            time.sleep(0.005)
        return time.monotonic()

    return max(threads.map(first_time, lanes))


# ---------------------------------------------------------------------- a large import


def _large_import(folder: Path, google: FakeGoogle) -> list[Row]:
    """Two thousand mixed files in a ZIP: uploaded for a preview, then stored by the worker, watched as the page does."""
    folder.mkdir()
    site = Gateway(folder, google)
    try:
        site.set_up()
        with site.operator() as operator, _memory_of(site) as peak_mib:
            began = time.monotonic()
            upload = {"files": ("house.zip", mixed.zipped(mixed.files(FILES)))}
            preview = operator.post("/api/imports", files=upload).json()
            previewed = time.monotonic()
            job_id = operator.post(f"/api/imports/{preview['id']}/confirm", json={}).json()["job"]
            looks: set[int] = set()
            while (job := operator.get(f"/api/jobs/{job_id}").json())["state"] in _RUNNING:
                looks.add(job["done"])
                time.sleep(0.1)
            stored = time.monotonic()
        if job["state"] != "done" or job["done"] != mixed.expected(FILES)["new"]:
            raise AssertionError(f"the import ended as {job}")
    finally:
        site.stop()
    what = f"import of {FILES:,} mixed files: "
    return [
        Row(SECTION, what + "the preview (dry run)", None, "s", [previewed - began]),
        Row(SECTION, what + "stored by the worker", None, "s", [stored - previewed]),
        Row(SECTION, what + "different progress seen", None, "", [float(len(looks))]),
        *(
            Row(SECTION, what + f"memory of the {name} process, before", None, "MiB", [mib[0]])
            for name, mib in peak_mib.items()
        ),
        *(
            Row(SECTION, what + f"memory of the {name} process, most", None, "MiB", [max(mib)])
            for name, mib in peak_mib.items()
        ),
    ]


@contextmanager
def _memory_of(site: Gateway) -> Iterator[dict[str, list[float]]]:
    """Resident memory of the largest web process and of the worker, again and again."""
    found: dict[str, list[float]] = {"web": [], "worker": []}
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            sizes: dict[str, float] = {"web": 0.0, "worker": 0.0}
            for child in psutil.Process(site.serve.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    name = "web" if "gateway.server" in child.cmdline() else "worker"
                    sizes[name] = max(sizes[name], child.memory_info().rss / 2**20)
            for name, mib in sizes.items():
                found[name].append(mib)
            over.wait(0.05)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()
