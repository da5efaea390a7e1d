"""What all processes together must not exceed: the calls of a capped credential's day, and one call at a time for one that
comes back from a rest.

Many at a time in one transaction, like the ledger (quotas/ledger.py) and for the same reason in plain SQL. An allowance is
taken by one conditional statement, so there is nothing between reading and writing; a process that dies leaves it
taken, and a cap is never exceeded. Rows are touched in the same order by all, so that two batches cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from msgspec import Struct

from credentials.caps import next_upstream_midnight
from credentials.models import Allowance, Credential, Draining, ModelState, ProbeClaim
from credentials.states import ROUNDED_S
from gateway.lib.sql import Cursor, batch

CLAIM_S = 30.0
"""How long others leave a half-open credential to the call that tries it, if that says nothing."""
HELD_S = 2.0
"""When they ask again; mostly they hear of the outcome before."""

_ALLOWANCE = Allowance._meta.db_table
_CLAIM = ProbeClaim._meta.db_table
_RESTS_WHOLE = f"SELECT 1 FROM {Credential._meta.db_table} WHERE id = %s AND state_until > %s"
_RESTS = f"SELECT 1 FROM {ModelState._meta.db_table} WHERE credential_id = %s AND model = %s AND until > %s"


class Ask(Struct, frozen=True):
    """`trying`: scopes of the claims; `limits`: (scope, calls a day) of the allowances. `day`: the upstream's; `now`:
    epoch seconds."""

    credential_id: int
    trying: tuple[str, ...]
    limits: tuple[tuple[str, int], ...]
    day: date
    now: float


class Permit(Struct, frozen=True):
    """What one call was granted, and gives back. `until`: epoch seconds, by which its claims are known as its own."""

    credential_id: int
    trying: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    day: date = date.min
    until: float = 0.0


class Refusal(Struct, frozen=True):
    """`spent`: the cap of the scope is used up until the day it was asked for ends; otherwise another call tries the
    credential. `until`: epoch seconds, when to ask again."""

    scope: str
    spent: bool
    until: float


def grant(asks: Sequence[Ask]) -> list[Permit | Refusal]:
    """All of what a call asks for, or nothing. Raises django.db.Error."""
    refusals: dict[int, Refusal] = {}
    with batch() as cursor:
        _claim(cursor, asks, refusals)
        _take(cursor, asks, refusals)
    return [refusals.get(place) or _permit(ask) for place, ask in enumerate(asks)]


def put_back(permits: Sequence[Permit]) -> list[None]:
    """What was taken for calls that were not served. Raises django.db.Error. Not idempotent: each permit once."""
    with batch() as cursor:
        rows = sorted((p.credential_id, scope, p.day) for p in permits for scope in p.scopes)
        for credential_id, scope, day in rows:
            _put_back(cursor, credential_id, scope, day)
    return [None] * len(permits)


def end_claims(permits: Sequence[Permit]) -> None:
    """Their calls have found out. Raises django.db.Error."""
    with batch() as cursor:
        rows = sorted((p.credential_id, scope, p.until) for p in permits for scope in p.trying)
        for credential_id, scope, until in rows:
            _unclaim(cursor, credential_id, scope, until)


def _permit(ask: Ask) -> Permit:
    return Permit(
        credential_id=ask.credential_id,
        trying=ask.trying,
        scopes=tuple(scope for scope, _ in ask.limits),
        day=ask.day,
        until=ask.now + CLAIM_S if ask.trying else 0.0,
    )


def _claim(cursor: Cursor, asks: Sequence[Ask], refusals: dict[int, Refusal]) -> None:
    wanted = sorted(
        (ask.credential_id, scope, place) for place, ask in enumerate(asks) for scope in ask.trying
    )
    for credential_id, scope, place in wanted:
        if place in refusals:
            continue
        now = asks[place].now
        # Another process may have found out already, and that it rests again.
        rests, of_scope = (_RESTS, (scope,)) if scope else (_RESTS_WHOLE, ())
        surely_rests = _moment(now + ROUNDED_S)
        cursor.execute(
            f"INSERT INTO {_CLAIM} (credential_id, model, until) SELECT %s, %s, %s "
            f"WHERE NOT EXISTS ({rests}) "
            "ON CONFLICT (credential_id, model) DO UPDATE SET until = excluded.until "
            f"WHERE {_CLAIM}.until <= %s RETURNING id",
            (
                credential_id,
                scope,
                _moment(now + CLAIM_S),
                credential_id,
                *of_scope,
                surely_rests,
                _moment(now),
            ),
        )
        if cursor.fetchone() is None:
            refusals[place] = Refusal(scope, spent=False, until=now + HELD_S)
            _unclaim_all(cursor, asks[place], but=scope)


def _unclaim_all(cursor: Cursor, ask: Ask, *, but: str | None = None) -> None:
    for scope in ask.trying:
        if scope == but:
            return
        _unclaim(cursor, ask.credential_id, scope, ask.now + CLAIM_S)


def _unclaim(cursor: Cursor, credential_id: int, scope: str, until: float) -> None:
    cursor.execute(
        f"DELETE FROM {_CLAIM} WHERE credential_id = %s AND model = %s AND until = %s",
        (credential_id, scope, _moment(until)),
    )


def _take(cursor: Cursor, asks: Sequence[Ask], refusals: dict[int, Refusal]) -> None:
    wanted = sorted(
        (ask.credential_id, scope, ask.day, calls, place)
        for place, ask in enumerate(asks)
        for scope, calls in ask.limits
    )
    taken: dict[int, list[str]] = {}
    full: set[tuple[int, str, date, int]] = set()
    for credential_id, scope, day, calls, place in wanted:
        if place in refusals:
            continue
        if (credential_id, scope, day, calls) not in full:
            if calls > 0 and _take_one(cursor, credential_id, scope, day, calls):
                taken.setdefault(place, []).append(scope)
                continue
            full.add((credential_id, scope, day, calls))
        until = next_upstream_midnight(asks[place].now)
        refusals[place] = Refusal(scope, spent=True, until=until)
        for other in taken.pop(place, ()):
            _put_back(cursor, credential_id, other, day)
        _unclaim_all(cursor, asks[place])


def _take_one(cursor: Cursor, credential_id: int, scope: str, day: date, calls: int) -> bool:
    cursor.execute(
        f"INSERT INTO {_ALLOWANCE} (credential_id, day, scope, taken) VALUES (%s, %s, %s, 1) "
        f"ON CONFLICT (credential_id, day, scope) DO UPDATE SET taken = {_ALLOWANCE}.taken + 1 "
        f"WHERE {_ALLOWANCE}.taken < %s RETURNING taken",
        (credential_id, _day(day), scope, calls),
    )
    return cursor.fetchone() is not None


def _put_back(cursor: Cursor, credential_id: int, scope: str, day: date) -> None:
    cursor.execute(
        f"UPDATE {_ALLOWANCE} SET taken = taken - 1 "
        "WHERE credential_id = %s AND day = %s AND scope = %s AND taken > 0",
        (credential_id, _day(day), scope),
    )


def _moment(at: float) -> Any:
    return connection.ops.adapt_datetimefield_value(datetime.fromtimestamp(at, UTC))


def _day(day: date) -> Any:
    return connection.ops.adapt_datefield_value(day)


@transaction.atomic
def report_draining(*, holder_id: str, calls: dict[int, int]) -> None:
    """What a process still runs with credentials that were withdrawn: exactly these."""
    Draining.objects.filter(holder_id=holder_id).exclude(credential_id__in=calls).delete()
    Draining.objects.bulk_create(
        [
            Draining(holder_id=holder_id, credential_id=pk, calls=n, at=timezone.now())
            for pk, n in sorted(calls.items())
        ],
        update_conflicts=True,
        unique_fields=["holder_id", "credential"],
        update_fields=["calls", "at"],
    )
