"""The windows in the database, for sites without Redis and while Redis is away.

The row of a scope's gate is locked first, in the order of the scopes, so what is counted afterwards is exact whatever other processes
do; then the questions of a batch are answered one after the other. The clock is PostgreSQL's own; on SQLite there is one host.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TypeGuard

from django.db import connection
from msgspec import Struct

from gateway.lib.sql import Cursor, batch, insert_many
from quotas.limiter import (
    AHEAD_S,
    LEASE_S,
    WINDOW_S,
    Granted,
    Item,
    Refused,
    Release,
    Renew,
    Room,
    Take,
    tightest,
)
from quotas.models import Gate, Passage
from quotas.periods import MOST_DAYS_AHEAD, day_of, ends_at
from quotas.terms import Terms

_GATE = Gate._meta.db_table
_PASSAGE = Passage._meta.db_table
_CLEAN_EVERY_S = 30.0
_CLEAN_AT_ONCE = 5_000
_next_cleaning = 0.0


class _Window(Struct):
    """What a scope's gate has let pass, as the batch goes on."""

    day: int
    calls: int
    requests: int = 0
    tokens: int = 0
    running: int = 0
    changed: bool = False


def decide(items: Sequence[Item]) -> list[Granted | Refused | None]:
    """In the order in which they came; None for what is not asked but told."""
    with batch() as cursor:
        scopes = sorted({scope for item in items if _moves(item) for scope in item.scopes})
        windows = _locked(cursor, scopes)
        now = _now(cursor)
        if windows:
            _count(cursor, windows, now)
        answers: list[Granted | Refused | None] = []
        for item in items:
            if type(item) is Take:
                answers.append(_take(cursor, windows, item, now))
            else:
                if type(item) is Release:
                    _release(cursor, windows, item, now)
                elif type(item) is Renew:
                    _renew(cursor, item, now)
                answers.append(None)
        for scope, window in windows.items():
            if window.changed:
                cursor.execute(
                    f"UPDATE {_GATE} SET day = %s, calls = %s WHERE scope = %s",
                    (window.day, window.calls, scope),
                )
        _clean(cursor, now)
    return answers


def _moves(item: Item) -> TypeGuard[Take | Release]:
    """Whether it needs the gates of its scopes."""
    return type(item) is Take or (type(item) is Release and item.undone)


def _locked(cursor: Cursor, scopes: Sequence[str]) -> dict[str, _Window]:
    windows = {}
    for scope in scopes:
        cursor.execute(
            f"INSERT INTO {_GATE} (scope, day, calls) VALUES (%s, 0, 0) "
            "ON CONFLICT (scope) DO UPDATE SET scope = excluded.scope RETURNING day, calls",
            (scope,),
        )
        windows[scope] = _Window(*cursor.fetchone())
    return windows


def _now(cursor: Cursor) -> float:
    """Read when the gates are locked: nobody passes one with an earlier time than whoever was before."""
    if connection.vendor != "postgresql":
        return time.time()
    cursor.execute("SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8")
    now: float = cursor.fetchone()[0]
    return now


def _count(cursor: Cursor, windows: dict[str, _Window], now: float) -> None:
    marks = ", ".join(["%s"] * len(windows))
    cursor.execute(
        "SELECT scope, SUM(CASE WHEN at > %s AND at <= %s THEN 1 ELSE 0 END), "
        "SUM(CASE WHEN at > %s AND at <= %s THEN tokens ELSE 0 END), "
        "SUM(CASE WHEN lease_until > %s AND lease_until <= %s THEN 1 ELSE 0 END) "
        f"FROM {_PASSAGE} WHERE scope IN ({marks}) "
        "AND (at > %s OR lease_until > %s) GROUP BY scope",
        (
            now - WINDOW_S,
            now + AHEAD_S,
            now - WINDOW_S,
            now + AHEAD_S,
            now,
            now + LEASE_S + AHEAD_S,
            *windows,
            now - WINDOW_S,
            now,
        ),
    )
    for scope, requests, tokens, running in cursor.fetchall():
        window = windows[scope]
        window.requests, window.tokens, window.running = int(requests), int(tokens), int(running)


def _take(cursor: Cursor, windows: dict[str, _Window], take: Take, now: float) -> Granted | Refused:
    for terms in take.terms:
        if (refused := _refusal(cursor, windows[terms.scope], terms, take, now)) is not None:
            return refused
    granted_requests = granted_tokens = None
    days: list[int | None] = []
    for terms in take.terms:
        window = windows[terms.scope]
        days.append(None if terms.rpd is None else window.day)
        window.requests += 1
        window.tokens += take.tokens
        window.running += 1
        if terms.rpd is not None:
            window.calls += 1
            window.changed = True
        requests, tokens = _room(window, terms, now)
        granted_requests = tightest(granted_requests, requests)
        granted_tokens = tightest(granted_tokens, tokens)
    insert_many(
        cursor,
        _PASSAGE,
        ("scope", "request_id", "at", "tokens", "lease_until"),
        [(scope, take.request_id, now, take.tokens, now + LEASE_S) for scope in take.scopes],
    )
    return Granted(granted_requests, granted_tokens, tuple(days))


def _refusal(
    cursor: Cursor, window: _Window, terms: Terms, take: Take, now: float
) -> Refused | None:
    scope = terms.scope
    if terms.tpm is not None and take.tokens > terms.tpm:
        return Refused(scope, "tpm", terms.tpm, window.tokens, WINDOW_S, hopeless=True)
    if terms.rpd is not None:
        day = day_of(now, terms.time_zone)
        if day > window.day:
            window.day, window.calls, window.changed = day, 0, True
        elif window.day - day > MOST_DAYS_AHEAD:
            # Only a wrong clock wrote that; what was counted stays counted until the day is over.
            window.day, window.changed = day, True
        if window.calls >= terms.rpd:
            wait_s = ends_at("day", window.day, terms.time_zone) - now
            return Refused(scope, "rpd", terms.rpd, window.calls, wait_s)
    if terms.rpm is not None and window.requests >= terms.rpm:
        wait_s = _wait_s(cursor, scope, now, requests=window.requests - terms.rpm + 1)
        return Refused(scope, "rpm", terms.rpm, window.requests, wait_s, hopeless=terms.rpm == 0)
    if terms.tpm is not None and window.tokens + take.tokens > terms.tpm:
        wait_s = _wait_s(cursor, scope, now, tokens=window.tokens + take.tokens - terms.tpm)
        return Refused(scope, "tpm", terms.tpm, window.tokens, wait_s)
    if terms.concurrency is not None and window.running >= terms.concurrency:
        never = terms.concurrency == 0
        return Refused(scope, "concurrency", terms.concurrency, window.running, 0.0, never)
    return None


def _wait_s(cursor: Cursor, scope: str, now: float, *, requests: int = 0, tokens: int = 0) -> float:
    """Until so many requests, or so many tokens, have left the window."""
    cursor.execute(
        f"SELECT at, tokens FROM {_PASSAGE} WHERE scope = %s AND at > %s AND at <= %s ORDER BY at",
        (scope, now - WINDOW_S, now + AHEAD_S),
    )
    for at, some in cursor.fetchall():
        requests, tokens = requests - 1, tokens - some
        if requests <= 0 and tokens <= 0:
            return float(max(at + WINDOW_S - now, 0.0))
    return WINDOW_S


def _room(window: _Window, terms: Terms, now: float) -> tuple[Room | None, Room | None]:
    requests = None
    if terms.rpm is not None:
        requests = Room(terms.rpm, max(terms.rpm - window.requests, 0), WINDOW_S)
    if terms.rpd is not None:
        wait_s = ends_at("day", window.day, terms.time_zone) - now
        requests = tightest(requests, Room(terms.rpd, max(terms.rpd - window.calls, 0), wait_s))
    tokens = None
    if terms.tpm is not None:
        tokens = Room(terms.tpm, max(terms.tpm - window.tokens, 0), WINDOW_S)
    return requests, tokens


def _release(cursor: Cursor, windows: dict[str, _Window], release: Release, now: float) -> None:
    if windows:
        _make_room(cursor, windows, release, now)
    if release.undone:
        cursor.execute(f"DELETE FROM {_PASSAGE} WHERE request_id = %s", (release.request_id,))
    else:
        cursor.execute(
            f"UPDATE {_PASSAGE} SET tokens = %s, lease_until = 0 WHERE request_id = %s",
            (release.tokens, release.request_id),
        )


def _make_room(cursor: Cursor, windows: dict[str, _Window], release: Release, now: float) -> None:
    """For those of this batch who come after it."""
    cursor.execute(
        f"SELECT scope, at, tokens, lease_until FROM {_PASSAGE} WHERE request_id = %s",
        (release.request_id,),
    )
    days = dict(zip(release.scopes, release.days, strict=False))
    for scope, at, tokens, lease_until in cursor.fetchall():
        window = windows.get(scope)
        if window is None:
            continue  # nobody in this batch asks for it
        window.running -= now < lease_until <= now + LEASE_S + AHEAD_S
        if now - WINDOW_S < at <= now + AHEAD_S:
            window.tokens += (0 if release.undone else release.tokens) - tokens
            window.requests -= release.undone
        if release.undone and window.calls and days.get(scope) == window.day:
            window.calls -= 1
            window.changed = True


def _renew(cursor: Cursor, renew: Renew, now: float) -> None:
    for start in range(0, len(renew.request_ids), 500):
        some = renew.request_ids[start : start + 500]
        cursor.execute(
            f"UPDATE {_PASSAGE} SET lease_until = %s "
            f"WHERE request_id IN ({', '.join(['%s'] * len(some))}) AND lease_until > 0",
            (now + LEASE_S, *some),
        )


def _clean(cursor: Cursor, now: float) -> None:
    """Rows out of every window; each process looks twice a minute."""
    global _next_cleaning
    if time.monotonic() < _next_cleaning:
        return
    _next_cleaning = time.monotonic() + _CLEAN_EVERY_S
    locked = "FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    cursor.execute(
        # No more than a batch can bear, and nothing that another process deletes or writes just now.
        f"DELETE FROM {_PASSAGE} WHERE id IN (SELECT id FROM {_PASSAGE} "
        "WHERE ((at <= %s OR at > %s) AND (lease_until <= %s OR lease_until > %s)) "
        f"LIMIT {_CLEAN_AT_ONCE} {locked})",
        (now - WINDOW_S, now + WINDOW_S, now, now + 2 * LEASE_S),
    )
