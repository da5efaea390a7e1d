"""PostgreSQL and Redis for the tests that need them.

Each comes from the first of: the server that TEST_POSTGRES_URL or TEST_REDIS_URL names; one that runs here and lets us in;
a private one, started from the machine's binaries and stopped at the end. Without any the test is skipped and says why;
with CI=true it fails, so that a pipeline cannot pass by not looking. Every pytest process gets its own database.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, urlencode

import psycopg
import pytest
import redis
from psycopg import sql

START_TIMEOUT_S = 30.0
PRIVATE_USER = "wellspring"


class Missing(Exception):
    """There is no server, and no binary to start one from."""


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A DATABASE_URL of an empty database."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(postgres_database())
        except Missing as exc:
            give_up(str(exc))
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A REDIS_URL with the number of an empty database."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(redis_database())
        except Missing as exc:
            give_up(str(exc))
        yield url


@contextmanager
def postgres_database() -> Iterator[str]:
    with _postgres_server() as admin_dsn:
        name = f"wellspring_{os.getpid()}_{secrets.token_hex(4)}"
        _as_admin(admin_dsn, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield database_url(admin_dsn, name)
        finally:
            statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            _as_admin(admin_dsn, statement.format(sql.Identifier(name)))


@contextmanager
def redis_database() -> Iterator[str]:
    with _redis_server() as server_url:
        url = _claim_empty_database(server_url)
        try:
            yield url
        finally:
            with redis.Redis.from_url(url) as client:
                client.flushdb()


def database_url(dsn: str, name: str) -> str:
    """The URL by which Django and libpq both reach database `name` of the server behind `dsn`."""
    with psycopg.connect(dsn) as connection:
        info = connection.info
        password = f":{quote(info.password, safe='')}" if info.password else ""
        login = quote(info.user, safe="") + password
        if info.host.startswith("/"):
            query = urlencode({"host": info.host, "port": info.port})
            return f"postgresql://{login}@/{name}?{query}"
        return f"postgresql://{login}@{info.host}:{info.port}/{name}"


def give_up(reason: str) -> NoReturn:
    """Skip, or fail where skipping would go unseen."""
    if os.environ.get("CI", "").lower() == "true":  # noqa: TID251
        pytest.fail(f"{reason} (a failure, as CI=true)", pytrace=False)
    pytest.skip(reason)


@contextmanager
def _postgres_server() -> Iterator[str]:
    """The DSN of an account that may create databases."""
    named = os.environ.get("TEST_POSTGRES_URL")  # noqa: TID251
    if named:
        yield named
        return
    for dsn in ("dbname=postgres", "host=127.0.0.1 user=postgres dbname=postgres"):
        if _may_create_databases(dsn):
            yield dsn
            return
    with private_postgres() as dsn:
        yield dsn


def _may_create_databases(dsn: str) -> bool:
    question = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    try:
        with psycopg.connect(dsn, connect_timeout=3) as connection:
            row = connection.execute(question).fetchone()
    except psycopg.OperationalError:
        return False
    return bool(row and row[0])


def _as_admin(dsn: str, statement: sql.Composed) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)


@contextmanager
def private_postgres() -> Iterator[str]:
    """A server of our own behind a socket in a temporary folder, gone afterwards."""
    binaries = _postgres_binaries()
    # PostgreSQL refuses to run as root.
    user = _unprivileged_user() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="ws-pg-"))
    try:
        if user:
            shutil.chown(folder, user)
        data = folder / "data"
        initdb = [f"{binaries}/initdb", "-D", str(data), "-U", PRIVATE_USER, "-A", "trust"]
        initdb += ["--no-sync", "--encoding=UTF8", "--locale=C"]
        _run_to_the_end(initdb, user, folder)
        server = [f"{binaries}/postgres", "-D", str(data), "-k", str(folder)]
        for setting in ("listen_addresses=", "fsync=off", "max_connections=200"):
            server += ["-c", setting]
        dsn = f"host={folder} user={PRIVATE_USER} dbname=postgres"
        with _running(server, lambda: _may_create_databases(dsn), user=user, folder=folder):
            yield dsn
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_binaries() -> Path:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(debian, key=lambda path: int(path.parts[4]), default=None)
    if newest is None:
        raise Missing(
            "needs PostgreSQL: none runs that lets us create databases, and no initdb is installed"
        )
    return newest.parent


def _unprivileged_user() -> str:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise Missing("needs PostgreSQL: root cannot run one, and there is no user postgres or nobody")


@contextmanager
def _redis_server() -> Iterator[str]:
    named = os.environ.get("TEST_REDIS_URL")  # noqa: TID251
    if named:
        yield named
    elif _answers("redis://127.0.0.1:6379"):
        yield "redis://127.0.0.1:6379"
    else:
        with private_redis() as url:
            yield url


@contextmanager
def private_redis() -> Iterator[str]:
    binary = shutil.which("redis-server")
    if binary is None:
        raise Missing("needs Redis: none runs on port 6379, and no redis-server is installed")
    folder = Path(tempfile.mkdtemp(prefix="ws-redis-"))
    port = _free_port()
    server = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    server += ["--save", "", "--appendonly", "no"]
    url = f"redis://127.0.0.1:{port}"
    try:
        with _running(server, lambda: _answers(url), user=None, folder=folder):
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=3) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _claim_empty_database(server_url: str) -> str:
    """The server may be somebody's: take a database in which nothing is, and mark it before others do."""
    base = server_url.rstrip("/")
    for number in range(15, 0, -1):
        url = f"{base}/{number}"
        with redis.Redis.from_url(url) as client:
            if client.dbsize() == 0 and client.set("wellspring-tests", os.getpid(), nx=True):
                return url
    raise Missing("needs Redis: all databases 1 to 15 of the server hold something")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run_to_the_end(command: list[str], user: str | None, folder: Path) -> None:
    done = subprocess.run(
        command, user=user, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Missing(f"{command[0]} failed: {done.stderr.strip()}")


@contextmanager
def _running(
    command: list[str], ready: Callable[[], bool], *, user: str | None, folder: Path
) -> Iterator[None]:
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, user=user, cwd=folder, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Missing(f"{command[0]} did not start: {log.read_text()[-500:]}")
            time.sleep(0.05)
        yield
    finally:
        # SIGINT: PostgreSQL ends without waiting for clients, Redis at once.
        process.send_signal(signal.SIGINT)
        process.wait(timeout=START_TIMEOUT_S)
