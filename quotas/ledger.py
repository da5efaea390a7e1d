"""reserve / settle / refund, many at a time in one transaction.

A batch is one conditional UPDATE for each balance it touches, in the order of their ids, so that two batches cannot
deadlock. Where that does not fit — not all of a batch can be paid, or credits are counted by days — the rows are locked, in the
same order, and the calls looked at one after the other (quotas/decisions.py). A call is booked on all its accounts or on none.

A reservation is one Hold for each account. Closing it is decided by who deletes the Holds: DELETE … RETURNING gives them to
exactly one closer, so a late settle and the sweep cannot both book a call, and a repeated close books nothing. Plain SQL, because
the ORM's share was most of the cost; but for FOR NO KEY UPDATE, every statement here is the same on SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from django.db import connection
from msgspec import Struct

from gateway.lib.sql import ROWS_A_STATEMENT, Cursor, batch, insert_many
from quotas import decisions
from quotas.decisions import Held, Refusal, State
from quotas.models import Balance, Entry, Hold
from quotas.periods import day_of
from quotas.terms import Account

_BALANCE = Balance._meta.db_table
_ENTRY = Entry._meta.db_table
_HOLD = Hold._meta.db_table
_STATE = (
    "open_ended",
    "used_micros",
    "reserved_micros",
    "remaining_micros",
    "day",
    "day_micros",
    "week_micros",
    "month_micros",
)


class Reserve(Struct, frozen=True):
    """`accounts`: at least one, each of another balance."""

    request_id: str
    accounts: tuple[Account, ...]
    amount_micros: int


class Close(Struct, frozen=True):
    """`charge_micros` 0 is a refund. `reason` stands on the receipt. `also` writes something in the same transaction, before
    anything is booked; where it says no, nothing is charged."""

    request_id: str
    charge_micros: int
    reason: str
    also: Callable[[Cursor], bool] | None = None
    accounts: tuple[Account, ...] = ()
    """Those it was reserved on, for their limits by day to show in what remains."""


class Booked(Struct, frozen=True):
    """The outcome of a Reserve or Close. `amount_micros` was really reserved or charged; `remaining_micros` is the least
    that is left on its accounts after the batch, None where none of them has an end."""

    accepted: bool
    amount_micros: int = 0
    remaining_micros: int | None = None
    refusal: Refusal | None = None


_REFUSED = Booked(accepted=False)


def book(
    reserves: Sequence[Reserve], closes: Sequence[Close], *, holder_id: str
) -> tuple[list[Booked], list[Booked]]:
    """Book a batch in one transaction. A call that is given up while its reservation still waits was never reserved."""
    with batch() as cursor:
        if any(close.also is not None for close in closes):
            closes = [_with_also(cursor, close) for close in closes]
        return _Batch(cursor, reserves, closes).book(holder_id)


def _with_also(cursor: Cursor, close: Close) -> Close:
    if close.also is None or close.also(cursor) or not close.charge_micros:
        return close
    return Close(close.request_id, 0, "another call has taken this one's place")


class _Batch:
    def __init__(
        self, cursor: Cursor, reserves: Sequence[Reserve], closes: Sequence[Close]
    ) -> None:
        now = datetime.now(UTC)
        self._cursor = cursor
        self._now = now.timestamp()
        self._stamp = connection.ops.adapt_datetimefield_value(now)
        self._closes = closes
        closing = {close.request_id for close in closes}
        self._reserves = reserves
        self._wanted = [p for p, one in enumerate(reserves) if one.request_id not in closing]
        self._held: dict[int, list[Held]] = {}
        """Position of a close -> what it ends."""
        self._left: dict[int, int | None] = {}
        """Balance -> what remains of it after the batch."""

    def book(self, holder_id: str) -> tuple[list[Booked], list[Booked]]:
        if self._closes:
            self._held = self._holds_of_closes()
        reserved: dict[int, list[Held]] = {}
        refusals: dict[int, Refusal] = {}
        charges = {p: self._closes[p].charge_micros for p in self._held}
        if not self._all_at_once(charges):
            reserved, refusals, charges = self._one_by_one()
        else:
            for p in self._wanted:
                one = self._reserves[p]
                reserved[p] = [Held(a.balance_id, one.amount_micros, 0) for a in one.accounts]
        self._insert_holds(reserved, holder_id)
        self._insert_entries(charges)
        return (
            [self._reserve_booked(p, reserved, refusals) for p in range(len(self._reserves))],
            [self._close_booked(p, charges) for p in range(len(self._closes))],
        )

    def _reserve_booked(
        self, position: int, reserved: dict[int, list[Held]], refusals: dict[int, Refusal]
    ) -> Booked:
        if position in reserved:
            one = self._reserves[position]
            ids = [account.balance_id for account in one.accounts]
            return Booked(True, one.amount_micros, self._least_left(ids))
        refusal = refusals.get(position)
        return _REFUSED if refusal is None else Booked(False, refusal=refusal)

    def _close_booked(self, position: int, charges: dict[int, int]) -> Booked:
        held = self._held.get(position)
        if held is None:
            return _REFUSED
        return Booked(True, charges[position], self._least_left([hold.balance_id for hold in held]))

    def _least_left(self, balance_ids: Iterable[int]) -> int | None:
        left = (self._left[balance_id] for balance_id in balance_ids)
        return min((one for one in left if one is not None), default=None)

    def _holds_of_closes(self) -> dict[int, list[Held]]:
        held = self._delete_holds([close.request_id for close in self._closes])
        by_position: dict[int, list[Held]] = {}
        orphans: list[int] = []
        seen: set[str] = set()
        for position, close in enumerate(self._closes):
            if close.request_id in seen:
                continue
            seen.add(close.request_id)
            if close.request_id in held:
                by_position[position] = held[close.request_id]
            elif close.charge_micros:
                orphans.append(position)
        if orphans:
            by_position |= self._swept(orphans)
        return by_position

    def _delete_holds(self, request_ids: Sequence[str]) -> dict[str, list[Held]]:
        held: dict[str, list[Held]] = {}
        for start in range(0, len(request_ids), ROWS_A_STATEMENT):
            some = request_ids[start : start + ROWS_A_STATEMENT]
            self._cursor.execute(
                f"DELETE FROM {_HOLD} WHERE request_id IN ({', '.join(['%s'] * len(some))}) "
                "RETURNING request_id, balance_id, amount_micros, day",
                some,
            )
            for request_id, balance_id, amount, day in self._cursor.fetchall():
                held.setdefault(request_id, []).append(Held(balance_id, amount, day))
        return held

    def _swept(self, orphans: list[int]) -> dict[int, list[Held]]:
        """Charges without a hold: repeated ones book nothing; one that the sweep refunded meanwhile is booked now, on all its
        balances, and counted in the periods that run now."""
        wanted = [self._closes[p].request_id for p in orphans]
        self._cursor.execute(
            f"SELECT request_id, balance_id, kind FROM {_ENTRY} "
            f"WHERE request_id IN ({', '.join(['%s'] * len(wanted))})",
            wanted,
        )
        kinds: dict[str, set[str]] = defaultdict(set)
        balances: dict[str, set[int]] = defaultdict(set)
        for request_id, balance_id, kind in self._cursor.fetchall():
            kinds[request_id].add(kind)
            balances[request_id].add(balance_id)
        return {
            p: [Held(balance_id, 0, decisions.NOW) for balance_id in sorted(balances[request_id])]
            for p, request_id in zip(orphans, wanted, strict=True)
            if kinds[request_id] == {Entry.Kind.REFUND.value}
        }

    def _all_at_once(self, charges: dict[int, int]) -> bool:
        """Whether each balance could take its whole part in one statement; `_applied` is what was done until one could not."""
        totals: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._applied: dict[int, tuple[int, int, int]] = {}
        plain = True
        for p in self._wanted:
            one = self._reserves[p]
            for account in one.accounts:
                totals[account.balance_id][0] += one.amount_micros
                plain = plain and not account.periodic
        for p, held in self._held.items():
            for hold in held:
                total = totals[hold.balance_id]
                total[1] += hold.amount_micros
                total[2] += charges[p]
                plain = plain and not hold.day
        self._touched = sorted(totals)
        if not plain:
            return False
        for balance_id in self._touched:
            taken, freed, charged = totals[balance_id]
            self._cursor.execute(
                f"UPDATE {_BALANCE} SET used_micros = used_micros + %s, "
                "reserved_micros = reserved_micros + %s, remaining_micros = remaining_micros - %s "
                "WHERE id = %s AND (open_ended OR remaining_micros >= %s) "
                "RETURNING remaining_micros, open_ended",
                (
                    charged,
                    taken - freed,
                    taken - freed + charged,
                    balance_id,
                    taken - freed + charged,
                ),
            )
            row = self._cursor.fetchone()
            if row is None:
                return False
            self._applied[balance_id] = taken, freed, charged
            self._left[balance_id] = None if row[1] else row[0]
        return True

    def _one_by_one(self) -> tuple[dict[int, list[Held]], dict[int, Refusal], dict[int, int]]:
        """First come, first served; what ends goes before what begins."""
        states = self._locked()
        charges = {
            p: decisions.give(states, held, self._closes[p].charge_micros)
            for p, held in self._held.items()
        }
        accounts = {
            account.balance_id: account for p in self._held for account in self._closes[p].accounts
        }
        wanted = [account for p in self._wanted for account in self._reserves[p].accounts]
        zones = {account.time_zone for account in (*accounts.values(), *wanted)}
        days = {zone: day_of(self._now, zone) for zone in zones}
        reserved: dict[int, list[Held]] = {}
        refusals: dict[int, Refusal] = {}
        for p in self._wanted:
            one = self._reserves[p]
            outcome = decisions.take(states, one.accounts, one.amount_micros, days)
            accounts |= {account.balance_id: account for account in one.accounts}
            if isinstance(outcome, Refusal):
                refusals[p] = outcome
            else:
                reserved[p] = outcome
        changes = ", ".join(f"{column} = %s" for column in _STATE[1:])
        for balance_id, state in states.items():
            account = accounts.get(balance_id, Account(balance_id))
            if account.periodic:
                # What is left is told as of now, also of a call that began on another day.
                state.turn(days[account.time_zone])
            self._cursor.execute(
                f"UPDATE {_BALANCE} SET {changes} WHERE id = %s",
                (*[getattr(state, column) for column in _STATE[1:]], balance_id),
            )
            self._left[balance_id] = state.left(account)
        return reserved, refusals, charges

    def _locked(self) -> dict[int, State]:
        """The balances as they were before this batch."""
        states: dict[int, State] = {}
        # As strong as an UPDATE's own lock: rows that only refer to the balance are written meanwhile.
        lock = " FOR NO KEY UPDATE" if connection.vendor == "postgresql" else ""
        for start in range(0, len(self._touched), ROWS_A_STATEMENT):
            some = self._touched[start : start + ROWS_A_STATEMENT]
            self._cursor.execute(
                f"SELECT id, {', '.join(_STATE)} FROM {_BALANCE} "
                f"WHERE id IN ({', '.join(['%s'] * len(some))}) ORDER BY id{lock}",
                some,
            )
            for balance_id, open_ended, *micros in self._cursor.fetchall():
                states[balance_id] = State(bool(open_ended), *micros)
        for balance_id, (taken, freed, charged) in self._applied.items():
            state = states[balance_id]
            state.used_micros -= charged
            state.reserved_micros -= taken - freed
            state.remaining_micros += taken - freed + charged
        return states

    def _insert_holds(self, reserved: dict[int, list[Held]], holder_id: str) -> None:
        insert_many(
            self._cursor,
            _HOLD,
            ("request_id", "balance_id", "amount_micros", "day", "holder_id", "created_at"),
            [
                (
                    self._reserves[p].request_id,
                    hold.balance_id,
                    hold.amount_micros,
                    hold.day,
                    holder_id,
                    self._stamp,
                )
                for p, holds in reserved.items()
                for hold in holds
            ],
        )

    def _insert_entries(self, charges: dict[int, int]) -> None:
        insert_many(
            self._cursor,
            _ENTRY,
            (
                "balance_id",
                "kind",
                "amount_micros",
                "reserved_micros",
                "request_id",
                "reason",
                "actor",
                "created_at",
            ),
            [
                (
                    hold.balance_id,
                    # What was meant, not what the balance could pay: the sweep's refund may be there already.
                    Entry.Kind.SETTLE.value
                    if self._closes[p].charge_micros
                    else Entry.Kind.REFUND.value,
                    charges[p],
                    hold.amount_micros,
                    self._closes[p].request_id,
                    self._closes[p].reason,
                    "",
                    self._stamp,
                )
                for p, held in self._held.items()
                for hold in held
            ],
        )
