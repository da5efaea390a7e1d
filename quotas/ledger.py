"""reserve / settle / refund, many at a time in one transaction.

A reservation is one conditional UPDATE of the balance and one Hold. Closing it is decided by who deletes the Hold:
DELETE … RETURNING gives each hold to exactly one closer, so a late settle and the sweep cannot both book it, and a
repeated close books nothing. Plain SQL, because the ORM's share was most of the cost; every statement here is the same
on SQLite and PostgreSQL. Balances are touched in the order of their ids, so two batches cannot deadlock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from msgspec import Struct

from gateway.lib.sql import ROWS_A_STATEMENT, Cursor, batch, insert_many
from quotas.models import Balance, Entry, Hold

_BALANCE = Balance._meta.db_table
_ENTRY = Entry._meta.db_table
_HOLD = Hold._meta.db_table


class Reserve(Struct, frozen=True):
    request_id: str
    balance_id: int
    amount_micros: int


class Close(Struct, frozen=True):
    """`charge_micros` 0 is a refund. `reason` stands on the receipt."""

    request_id: str
    balance_id: int
    charge_micros: int
    reason: str


class Booked(Struct, frozen=True):
    """The outcome of a Reserve or Close. `amount_micros` was really reserved or charged; `remaining_micros` is the
    balance after the batch."""

    accepted: bool
    amount_micros: int = 0
    remaining_micros: int = 0


_REFUSED = Booked(accepted=False)


def book(
    reserves: Sequence[Reserve], closes: Sequence[Close], *, holder_id: str
) -> tuple[list[Booked], list[Booked]]:
    """Book a batch in one transaction. Reserves come first, so that a call that is given up while its reservation
    still waits can be closed in the same batch.
    """
    with batch() as cursor:
        now = connection.ops.adapt_datetimefield_value(datetime.now(UTC))
        reserved = _reserve(cursor, reserves, holder_id, now) if reserves else []
        closed = _close(cursor, closes, now) if closes else []
    return reserved, closed


def _reserve(cursor: Cursor, reserves: Sequence[Reserve], holder_id: str, now: Any) -> list[Booked]:
    by_balance: dict[int, list[int]] = defaultdict(list)
    for position, reserve in enumerate(reserves):
        by_balance[reserve.balance_id].append(position)
    booked = [_REFUSED] * len(reserves)
    for balance_id in sorted(by_balance):
        positions = by_balance[balance_id]
        whole = sum(reserves[p].amount_micros for p in positions)
        remaining = _take(cursor, balance_id, whole)
        if remaining is not None:
            for p in positions:
                booked[p] = Booked(True, reserves[p].amount_micros, remaining)
        elif len(positions) > 1:
            _reserve_singly(cursor, balance_id, positions, reserves, booked)
    insert_many(
        cursor,
        _HOLD,
        ("request_id", "balance_id", "amount_micros", "holder_id", "created_at"),
        [
            (reserve.request_id, reserve.balance_id, reserve.amount_micros, holder_id, now)
            for reserve, result in zip(reserves, booked, strict=True)
            if result.accepted
        ],
    )
    return booked


def _reserve_singly(
    cursor: Cursor,
    balance_id: int,
    positions: list[int],
    reserves: Sequence[Reserve],
    booked: list[Booked],
) -> None:
    """First come, first served; what is at least as large as a refused amount needs no statement to be refused."""
    refused_micros: int | None = None
    for p in positions:
        amount = reserves[p].amount_micros
        if refused_micros is not None and amount >= refused_micros:
            continue
        remaining = _take(cursor, balance_id, amount)
        if remaining is None:
            refused_micros = amount
        else:
            booked[p] = Booked(True, amount, remaining)


def _take(cursor: Cursor, balance_id: int, amount: int) -> int | None:
    cursor.execute(
        f"UPDATE {_BALANCE} SET reserved_micros = reserved_micros + %s, "
        "remaining_micros = remaining_micros - %s "
        "WHERE id = %s AND remaining_micros >= %s RETURNING remaining_micros",
        (amount, amount, balance_id, amount),
    )
    row = cursor.fetchone()
    return None if row is None else row[0]


def _close(cursor: Cursor, closes: Sequence[Close], now: Any) -> list[Booked]:
    held = _delete_holds(cursor, [close.request_id for close in closes])
    by_balance: dict[int, list[int]] = defaultdict(list)
    orphans: list[int] = []
    seen: set[str] = set()
    for position, close in enumerate(closes):
        if close.request_id in seen:
            continue
        seen.add(close.request_id)
        if close.request_id in held:
            by_balance[close.balance_id].append(position)
        else:
            orphans.append(position)
    booked = [_REFUSED] * len(closes)
    for balance_id in sorted(by_balance):
        positions = by_balance[balance_id]
        charge = sum(closes[p].charge_micros for p in positions)
        hold = sum(held[closes[p].request_id] for p in positions)
        remaining = _use(cursor, balance_id, charge, hold)
        if remaining is not None:
            for p in positions:
                booked[p] = Booked(True, closes[p].charge_micros, remaining)
        else:
            for p in positions:
                hold = held[closes[p].request_id]
                booked[p] = _use_what_is_left(cursor, balance_id, closes[p].charge_micros, hold)
    if orphans:
        _charge_late(cursor, closes, orphans, booked)
    insert_many(
        cursor,
        _ENTRY,
        (
            "balance_id",
            "kind",
            "amount_micros",
            "reserved_micros",
            "request_id",
            "reason",
            "created_at",
        ),
        [
            (
                close.balance_id,
                Entry.Kind.SETTLE.value if close.charge_micros else Entry.Kind.REFUND.value,
                result.amount_micros,
                held.get(close.request_id, 0),
                close.request_id,
                close.reason,
                now,
            )
            for close, result in zip(closes, booked, strict=True)
            if result.accepted
        ],
    )
    return booked


def _delete_holds(cursor: Cursor, request_ids: Sequence[str]) -> dict[str, int]:
    held: dict[str, int] = {}
    for start in range(0, len(request_ids), ROWS_A_STATEMENT):
        some = request_ids[start : start + ROWS_A_STATEMENT]
        cursor.execute(
            f"DELETE FROM {_HOLD} WHERE request_id IN ({', '.join(['%s'] * len(some))}) "
            "RETURNING request_id, amount_micros",
            some,
        )
        held.update(cursor.fetchall())
    return held


def _use(cursor: Cursor, balance_id: int, charge: int, hold: int) -> int | None:
    cursor.execute(
        f"UPDATE {_BALANCE} SET used_micros = used_micros + %s, "
        "reserved_micros = reserved_micros - %s, remaining_micros = remaining_micros + %s "
        "WHERE id = %s AND remaining_micros + %s >= 0 RETURNING remaining_micros",
        (charge, hold, hold - charge, balance_id, hold - charge),
    )
    row = cursor.fetchone()
    return None if row is None else row[0]


def _use_what_is_left(cursor: Cursor, balance_id: int, charge: int, hold: int) -> Booked:
    """The answer cost more than was reserved and more than remains: the balance ends at zero, never below."""
    while True:
        remaining = _use(cursor, balance_id, charge, hold)
        if remaining is not None:
            return Booked(True, charge, remaining)
        cursor.execute(f"SELECT remaining_micros FROM {_BALANCE} WHERE id = %s", (balance_id,))
        charge = hold + cursor.fetchone()[0]


def _charge_late(
    cursor: Cursor, closes: Sequence[Close], orphans: list[int], booked: list[Booked]
) -> None:
    """Closes without a hold: repeated ones book nothing; a charge that the sweep refunded meanwhile is booked now."""
    wanted = [closes[p].request_id for p in orphans]
    cursor.execute(
        f"SELECT request_id, kind FROM {_ENTRY} "
        f"WHERE request_id IN ({', '.join(['%s'] * len(wanted))})",
        wanted,
    )
    kinds: dict[str, set[str]] = defaultdict(set)
    for request_id, kind in cursor.fetchall():
        kinds[request_id].add(kind)
    for p in orphans:
        close = closes[p]
        if close.charge_micros and kinds[close.request_id] == {Entry.Kind.REFUND.value}:
            booked[p] = _use_what_is_left(cursor, close.balance_id, close.charge_micros, 0)
