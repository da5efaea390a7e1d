"""The ledger under fire: processes killed at every step of a call, a database that is away for ten seconds, and a crowd."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path

import aiohttp
import httpx
import psutil
import psycopg
import pytest

from tests.e2e.dialects import GEMINI, OPENAI, ask_at_once, events_of
from tests.e2e.gateway import HOLDER_LEASE_S, Gateway
from tests.e2e.processes import ROOT, eventually
from tests.services import Missing, give_up, postgres_database, redis_database

# Each starts and restarts gateways of its own.
pytestmark = pytest.mark.timeout(300)

PRICE = 2
TEXT = "one two three four five six seven eight"
SWEPT = "the process serving the call died"
AWAY_S = 10.0


@contextmanager
def running(folder, google, **options):
    google.reset()
    site = Gateway(folder, google, **options)
    google.add_client(*site.oauth_client)
    try:
        site.set_up()
        yield site
    finally:
        site.stop()


@contextmanager
def servers():
    """A PostgreSQL database and a Redis one."""
    try:
        with postgres_database() as database_url, redis_database() as redis_url:
            yield {"database_url": database_url, "redis_url": redis_url}
    except Missing as exc:
        give_up(str(exc))


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request):
    """Options of a Gateway."""
    if request.param == "sqlite":
        yield {}
    else:
        with servers() as urls:
            yield urls


def swept(site):
    eventually(
        lambda: site.hand("holds") == 0, "the sweep closes what is open", HOLDER_LEASE_S + 40
    )


def proves(site):
    proof = site.manage("prove_ledger", "--json")
    assert (proof["ok"], proof["discrepancies"], site.hand("deadlocks")) == (True, [], 0)


# ---------------------------------------------------------------------- killed at every step

DEATHS = [
    ("before_reserve", OPENAI, True),
    ("after_reserve", OPENAI, True),
    ("after_reserve", GEMINI, False),
    ("mid_stream", OPENAI, True),
    ("mid_stream", GEMINI, True),
    ("before_settle", OPENAI, True),
    ("before_settle", OPENAI, False),
    ("after_settle", OPENAI, True),
    ("after_settle", GEMINI, False),
]


def test_a_process_killed_at_any_step_of_a_call(tmp_path, google, backend):
    """Whoever did not get the whole answer pays nothing, but for a kill between the charge and the last byte."""
    order = tmp_path / "die-at"
    dying = Path(__file__).parent / "dying"
    options = {"PYTHONPATH": f"{dying}{os.pathsep}{ROOT}", "DIE_AT": str(order)}
    with running(tmp_path, google, workers=3, **backend, **options) as site:
        site.lend("gemini_api")
        for step, dialect, stream in DEATHS:
            die_at(site, google, order, step, dialect, stream)
        proves(site)


def die_at(site, google, order, step, dialect, stream):
    key = site.key(100)
    # The one that lives longest: who dies too often within seconds is not started again.
    victim = min(site.web_pids(), key=lambda pid: psutil.Process(pid).create_time())
    if step == "mid_stream":
        google.script("silence_mid", text=TEXT, count=8, silence_s=4)
    else:
        google.script("slow", text=TEXT, count=4, interval_s=0.02)
    whole, text = one_call(site, dialect, key, stream, victim, order, step)
    assert not whole, (step, text)
    assert not order.exists(), (step, text)
    eventually(
        lambda: len(pids := site.web_pids()) == site.workers and victim not in pids,
        f"it died {step}",
        60,
    )
    google.clear_scripts()
    swept(site)
    booked = [entry for entry in site.hand("entries", key=key) if entry["kind"] != "grant"]
    told = [(entry["kind"], entry["reason"]) for entry in booked]
    if step == "before_reserve":
        assert told == []
    elif step == "after_settle":
        assert told == [("settle", "answered")]
    else:
        assert told == [("refund", SWEPT)], step
    assert site.balance(key)["used"] == PRICE * (step == "after_settle")
    [answer] = ask_at_once(site.url, dialect, key, 1)
    assert answer.status_code == 200


def one_call(site, dialect, key, stream, victim, order, step):
    """(whether all of the answer came, what did), of a call that `victim` serves. It dies by itself at its step of the ledger; in the
    middle of a stream it is killed as soon as some content came."""
    path = dialect.path(stream=stream)
    body, headers = dialect.body(stream=stream), dialect.headers(key)
    text, status = "", 0
    with site.lane(victim) as client:
        if step != "mid_stream":
            order.write_text(step)
        try:
            with client.stream("POST", path, json=body, headers=headers) as response:
                status = response.status_code
                for piece in response.iter_text():
                    text += piece
                    if step == "mid_stream" and "one" in text:
                        os.kill(victim, signal.SIGKILL)
        except httpx.HTTPError:
            return False, text
    if dialect is OPENAI and stream:
        return "[DONE]" in text, text
    return status == 200, text


# ---------------------------------------------------------------------- the database is away


@contextmanager
def postgres_away(url):
    """Nobody can connect, and whoever was is thrown out."""
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    admin = psycopg.conninfo.make_conninfo(url, dbname="postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        try:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            yield
        finally:
            connection.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')


@contextmanager
def sqlite_locked(site):
    """Somebody else writes, and does not come to an end."""
    file = site.data_dir / "wellspring.sqlite3"
    with closing(sqlite3.connect(file, timeout=20, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


class Calls:
    """One call after the other in threads of their own, from `begin` to `end`."""

    def __init__(self, site, key, threads=4):
        self.site, self.key = site, key
        self.answers = []
        """(begun, status, seconds, request id)"""
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.work) for _ in range(threads)]

    def work(self):
        with httpx.Client(
            base_url=self.site.url, timeout=60, trust_env=False, verify=False
        ) as client:
            while not self.over.is_set():
                begun = time.monotonic()
                answer = client.post(
                    OPENAI.path(), json=OPENAI.body(), headers=OPENAI.headers(self.key)
                )
                took = time.monotonic() - begun
                request_id = answer.headers["x-request-id"]
                self.answers.append((begun, answer.status_code, took, request_id))
                if answer.status_code != 200:
                    assert answer.status_code == 503, answer.text
                    assert answer.json()["error"]["code"], answer.text
                    assert "retry-after" in answer.headers

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60)


def test_a_database_that_is_away_for_ten_seconds(tmp_path, google, backend):
    """Calls fail cleanly, nothing is charged for them; those under way are charged once it is back; nobody restarts anything."""
    with running(tmp_path, google, **backend) as site:
        site.lend("gemini_api")
        key, slow = site.key(100_000), site.key(1000)
        assert [a.status_code for a in ask_at_once(site.url, OPENAI, key, 3)] == [200] * 3
        google.script("slow", text=TEXT, count=6, interval_s=0.5)
        under_way = []

        def call_that_outlasts():
            under_way.extend(ask_at_once(site.url, OPENAI, slow, 1, stream=True))

        outlasting = threading.Thread(target=call_that_outlasts)
        outlasting.start()
        eventually(lambda: site.hand("reserved"), "the slow call is reserved")
        google.clear_scripts()
        pids = site.web_pids()
        url = backend.get("database_url")
        with Calls(site, key) as calls:
            time.sleep(1)  # some calls before
            with postgres_away(url) if url else sqlite_locked(site):
                gone = time.monotonic()
                time.sleep(AWAY_S)
            back = time.monotonic()
            eventually(
                lambda: any(a[0] > back and a[1] == 200 for a in list(calls.answers)),
                "calls are answered again",
            )
            recovered = time.monotonic() - back
            time.sleep(1)  # some calls after
        outlasting.join(60)
        assert site.web_pids() == pids
        eventually(lambda: hand_again(site), "the hand has its database again")
        swept(site)
        [answer] = under_way
        assert OPENAI.stream_text(events_of(answer.text)) == TEXT
        assert site.balance(slow) == {"total": 1000, "used": PRICE, "reserved": 0, "remaining": 998}
        booked = site.hand("booked")
        statuses = Counter(status for _, status, _, _ in calls.answers)
        for _, status, _, request_id in calls.answers:
            settled = booked.get(request_id, {}).get("settle", 0)
            assert settled == (status == 200), (request_id, status, booked.get(request_id))
        # Whoever called meanwhile waited for it, or was told in words that it is away.
        assert set(statuses) <= {200, 503}
        assert site.balance(key)["used"] == PRICE * (statuses[200] + 3)
        proves(site)
        during = Counter(s for begun, s, _, _ in calls.answers if gone <= begun <= back)
        slowest = max(took for _, _, took, _ in calls.answers)
        print(  # noqa: T201 - figures for whoever asks with -s
            f"away for {AWAY_S:g} s: {dict(statuses)}, begun meanwhile {dict(during)}, slowest "
            f"{slowest:.1f} s, first answer {recovered:.2f} s after it was back"
        )


def hand_again(site):
    """Its connection was cut too; the first question finds that out."""
    try:
        site.hand("holds")
    except (AssertionError, BrokenPipeError):
        site.open_hand()
        return False
    return True


# ---------------------------------------------------------------------- the crowd

KEYS, CALLS = 50, 1000


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_thousand_calls_at_once_and_a_process_killed_among_them(tmp_path, google, kind):
    """Every success has exactly one charge, and every charge is a success or a call that was cut."""
    settings = {"LIMIT_WAIT_S": "2", "LIMIT_QUEUE_LENGTH": "1000"}
    if kind == "sqlite":
        with running(tmp_path, google, workers=1, **settings) as site:
            crowd(site, google)
        return
    with servers() as urls, running(tmp_path, google, workers=4, **urls, **settings) as site:
        crowd(site, google)


def crowd(site, google):
    site.lend("gemini_api", "gemini_api", "gemini_api")
    keys = [site.plant(key) for key in site.hand("crowd", keys=KEYS)]
    google.script("slow", text=TEXT, count=4, interval_s=0.3, times=CALLS)
    began = time.monotonic()
    outcomes = asyncio.run(thousand_calls(site, keys))
    took = time.monotonic() - began
    swept(site)
    proves(site)
    booked = site.hand("booked")
    settled = {request_id: one["settle"] for request_id, one in booked.items() if "settle" in one}
    whole = [request_id for request_id, how in outcomes if how == "whole"]
    cut = {request_id for request_id, how in outcomes if how == "cut"}
    refused = {request_id for request_id, how in outcomes if how.isdigit()}
    assert len(set(whole)) == len(whole)
    assert [one for one in whole if one not in settled] == []
    assert [one for one in refused if one in settled] == []
    # Calls that were cut before their head came are known to nobody by name.
    nameless = sum(how == "cut" for request_id, how in outcomes if request_id is None)
    strangers = settled.keys() - set(whole) - cut
    assert len(strangers) <= nameless
    assert all("open" not in one for one in booked.values())
    entries = sum(sum(one.values()) for one in booked.values())
    print(  # noqa: T201 - figures for whoever asks with -s
        f"{CALLS} calls on {KEYS} keys, {site.workers} web processes, in {took:.1f} s: "
        f"{dict(Counter(how for _, how in outcomes))}, {len(settled)} charged, {entries} entries"
    )
    assert len(whole) > CALLS / 10
    assert any(how == "cut" for _, how in outcomes)


async def thousand_calls(site, keys):
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=60)
    done, half_way = [], asyncio.Event()

    async def call(session, number):
        request_id = None
        dialect, stream = ((OPENAI, True), (OPENAI, False), (GEMINI, True))[number % 3]
        try:
            async with session.post(
                site.url + dialect.path(stream=stream),
                json=dialect.body(stream=stream),
                headers=dialect.headers(keys[number % len(keys)]),
            ) as response:
                request_id = response.headers.get("x-request-id")
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError):
            return request_id, "cut"
        finally:
            done.append(number)
            if len(done) == CALLS // 2:
                half_way.set()
        if response.status != 200:
            return request_id, str(response.status)
        if not stream:
            return request_id, "whole"
        events = events_of(text)
        is_whole = dialect.stream_text(events) == TEXT and (
            dialect is not OPENAI or "[DONE]" in text
        )
        if is_whole:
            return request_id, "whole"
        # The refusal of a stream that had waited already, or a cut.
        return request_id, "429" if '"error"' in text else "cut"

    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        calls = [asyncio.ensure_future(call(session, number)) for number in range(CALLS)]
        await half_way.wait()
        victim = site.web_pids()[-1]
        os.kill(victim, signal.SIGKILL)
        return await asyncio.gather(*calls)
