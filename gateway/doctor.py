"""What `manage.py doctor` looks at: a finding a line, each found out by doing, not by reading settings back."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.core.checks import run_checks
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from msgspec import Struct
from redis import RedisError

from credentials import selectors as credential_selectors
from credentials.selectors import Changes
from credentials.states import State
from gateway.lib import broker
from gateway.lib.models import bump
from gateway.lib.proxied import client as proxied_client
from gateway.settings.env import DATA_DIR
from quotas.selectors import processes

ANSWER_TIMEOUT_S = 5.0
MOST_PROXIES = 50
PROXIES_AT_ONCE = 8
SKEW_WARN_S = 2.0
SKEW_FAIL_S = 30.0
DISK_WARN_BYTES = 1024**3
DISK_FAIL_BYTES = 100 * 1024**2

# Whose credentials are of no use while the address cannot be reached. The consent page is the visitor's to reach.
UPSTREAMS = {
    "GEMINI_API_URL": "gemini_api",
    "CODE_ASSIST_ENDPOINT": "code_assist",
    "OAUTH_PROXY_URL": "code_assist",
    "GOOGLEAPIS_PROXY_URL": "code_assist",
    "RESOURCE_MANAGER_API_URL": "code_assist",
    "SERVICE_USAGE_API_URL": "code_assist",
}


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(Struct, frozen=True):
    status: Status
    name: str
    words: str


def examine(*, reach_out: bool = True) -> Iterator[Finding]:
    """One finding after the other, as they come; what needs the database is left out when that fails.

    `reach_out`: the upstreams are asked too, which may take seconds.
    """
    yield settings_finding()
    database = database_finding()
    yield database
    yield broker_finding()
    yield channel_layer_finding()
    lent: set[str] = set()
    proxied: dict[str, list[int]] = {}
    if database.status is not Status.FAIL:
        changes = credential_selectors.usable_rows_since(0)
        lent = {row.provider for row in changes.credentials}
        proxied = _proxied(changes)
        yield encryption_finding(changes)
        yield pictures_finding()
        yield clock_finding()
    if reach_out:
        yield from upstream_findings(lent)
        yield from proxy_findings(proxied)
    yield disk_finding()


def settings_finding() -> Finding:
    messages = run_checks()
    serious = [message for message in messages if message.is_serious()]
    words = "; ".join(f"{message.id}: {message.msg}" for message in serious or messages)
    if serious:
        return Finding(Status.FAIL, "settings", words)
    if messages:
        return Finding(Status.WARN, "settings", words)
    return Finding(Status.OK, "settings", "every check passes")


def database_finding() -> Finding:
    try:
        pending = _pending_migrations()
        if pending:
            words = f"{pending} migrations are not applied: run `python manage.py migrate`"
            return Finding(Status.FAIL, "database", words)
        _write_and_take_back()
    except DatabaseError as exc:
        return Finding(Status.FAIL, "database", f"{connection.vendor}: {_first_line(exc)}")
    return Finding(Status.OK, "database", f"{connection.vendor}, migrated, can be written")


def _pending_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _write_and_take_back() -> None:
    with transaction.atomic():
        bump("doctor")
        transaction.set_rollback(True)


def broker_finding() -> Finding:
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    folder = options.get("data_folder_in")
    if folder:
        if Path(folder).is_dir():
            return Finding(Status.OK, "broker", "folders below DATA_DIR")
        return Finding(Status.WARN, "broker", "folders are missing; `serve` makes them")
    if broker.answers():
        return Finding(Status.OK, "broker", "Redis answers")
    return Finding(Status.FAIL, "broker", "Redis does not answer")


def channel_layer_finding() -> Finding:
    kind = "Redis" if settings.REDIS_URL else "inside the process"
    try:
        async_to_sync(_round_trip)()
    except TimeoutError:
        return Finding(Status.FAIL, "channel layer", f"{kind}: no message came back in time")
    except (RedisError, OSError) as exc:
        return Finding(Status.FAIL, "channel layer", f"{kind}: {_first_line(exc)}")
    return Finding(Status.OK, "channel layer", f"{kind}, a message came back")


async def _round_trip() -> None:
    layer: Any = get_channel_layer()
    channel = await layer.new_channel()
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        await layer.send(channel, {"type": "doctor.ping"})
        await layer.receive(channel)


def encryption_finding(changes: Changes) -> Finding:
    unreadable = len(changes.unreadable)
    if unreadable:
        words = f"{unreadable} stored secrets fit none of ENCRYPTION_KEYS: give their key back"
        return Finding(Status.FAIL, "encryption", words)
    return Finding(Status.OK, "encryption", f"{len(changes.credentials)} stored secrets open")


def pictures_finding() -> Finding:
    if settings.S3_BUCKET:
        return Finding(Status.OK, "pictures", "in a bucket")
    living = processes(lease_s=settings.HOLDER_LEASE_S)
    hosts = sorted({process.host for process in living if process.alive})
    if len(hosts) > 1:
        words = (
            f"in a folder of each host ({', '.join(hosts)}), and links that one made do not work on another: "
            f"set S3_BUCKET, or see that {settings.MEDIA_ROOT} is the same folder on all"
        )
        return Finding(Status.WARN, "pictures", words)
    return Finding(Status.OK, "pictures", "in a folder below DATA_DIR")


def clock_finding() -> Finding:
    now_s = time.time()
    skew_s = abs(now_s - _database_now_s())
    year = datetime.fromtimestamp(now_s, tz=UTC).year
    if not 2025 <= year < 2100:
        return Finding(Status.FAIL, "clock", f"the year is {year}: set the machine's clock")
    if skew_s > SKEW_WARN_S:
        status = Status.FAIL if skew_s > SKEW_FAIL_S else Status.WARN
        return Finding(status, "clock", f"{skew_s:.0f} s from the database's: use NTP on both")
    return Finding(Status.OK, "clock", "agrees with the database's")


def _database_now_s() -> float:
    seconds = {
        "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400",
        "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    }
    with connection.cursor() as cursor:
        cursor.execute(seconds[connection.vendor])
        return float(cursor.fetchone()[0])


def upstream_findings(lent: set[str]) -> list[Finding]:
    """`lent`: the providers of which there are credentials; for others an unreachable upstream only warns."""
    with (
        _client(settings.UPSTREAM_PROXY) as client,
        ThreadPoolExecutor(len(UPSTREAMS)) as threads,
    ):
        return list(threads.map(lambda name: _upstream_finding(client, name, lent), UPSTREAMS))


def _upstream_finding(client: httpx.Client, name: str, lent: set[str]) -> Finding:
    url = getattr(settings, name)
    try:
        client.head(url)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        status = Status.FAIL if UPSTREAMS[name] in lent else Status.WARN
        words = f"{_host(url)} cannot be reached: {type(exc).__name__}"
        return Finding(status, name, words)
    return Finding(Status.OK, name, f"{_host(url)} answers")


def _client(proxy: str) -> httpx.Client:
    tls = httpx.create_ssl_context(trust_env=False)
    return proxied_client(proxy, tls=tls, timeout=ANSWER_TIMEOUT_S)


def _proxied(changes: Changes) -> dict[str, list[int]]:
    """The proxies of credentials that may be used again -> whose they are."""
    users: dict[str, list[int]] = {}
    for row in changes.credentials:
        if row.proxy and row.state != State.WITHDRAWN:
            users.setdefault(row.proxy, []).append(row.id)
    return users


def proxy_findings(proxied: dict[str, list[int]]) -> Iterator[Finding]:
    """One for all proxies of credentials together: each is asked for the way to the API."""
    tried = list(proxied)[:MOST_PROXIES]
    if not tried:
        return
    with ThreadPoolExecutor(PROXIES_AT_ONCE) as threads:
        leads = list(threads.map(_leads_out, tried))
    shut = [proxy for proxy, good in zip(tried, leads, strict=True) if not good]
    if shut:
        ids = sorted(pk for proxy in shut for pk in proxied[proxy])
        named = ", ".join(map(str, ids[:10])) + (" …" if len(ids) > 10 else "")
        words = f"{len(shut)} of {len(tried)} proxies lead nowhere; look at those of credentials {named}"
        yield Finding(Status.WARN, "proxies of credentials", words)
        return
    yield Finding(Status.OK, "proxies of credentials", f"{len(tried)} lead to Google")


def _leads_out(proxy: str) -> bool:
    try:
        with _client(proxy) as client:
            client.head(settings.GEMINI_API_URL)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False
    return True


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or "no host"


def disk_finding() -> Finding:
    free_bytes = shutil.disk_usage(DATA_DIR).free
    words = f"{free_bytes / 1024**3:.1f} GiB free below DATA_DIR"
    if free_bytes < DISK_FAIL_BYTES:
        return Finding(Status.FAIL, "disk", words)
    return Finding(Status.WARN if free_bytes < DISK_WARN_BYTES else Status.OK, "disk", words)


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]
