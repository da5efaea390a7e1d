"""What a reservation or its end makes of the balances, when they have to be looked at one call after the other. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from quotas.periods import MOST_DAYS_AHEAD, first_day
from quotas.terms import Account

Limit = Literal["total", "day", "week", "month"]

NOW = -1
"""The day of what is used now, whichever day the balance is at."""


class State(Struct):
    """A balance as its row has it (quotas/models/ledger.py)."""

    open_ended: bool
    used_micros: int
    reserved_micros: int
    remaining_micros: int
    day: int = 0
    day_micros: int = 0
    week_micros: int = 0
    month_micros: int = 0

    def turn(self, day: int) -> None:
        """Begin a new day, and the periods it begins. A day that is past by now does not come back: a clock that was set back, or
        another time zone, opens no limit anew. Further ahead than any zone is only what a wrong clock wrote; the day is
        put right then, and what was counted stays counted until it is over."""
        if day <= self.day:
            if self.day - day > MOST_DAYS_AHEAD:
                self.day = day
            return
        if first_day("week", day) != (self.day and first_day("week", self.day)):
            self.week_micros = 0
        if first_day("month", day) != (self.day and first_day("month", self.day)):
            self.month_micros = 0
        self.day, self.day_micros = day, 0

    def count(self, day: int, micros: int) -> None:
        """Count what was used on `day`, wherever that day's periods still run. `day` may be NOW."""
        if not self.day:
            return
        if day == NOW or day > self.day:
            # The later one is of a clock that was wrong.
            day = self.day
        if day == self.day:
            self.day_micros = max(self.day_micros + micros, 0)
        if first_day("week", day) == first_day("week", self.day):
            self.week_micros = max(self.week_micros + micros, 0)
        if first_day("month", day) == first_day("month", self.day):
            self.month_micros = max(self.month_micros + micros, 0)

    def left(self, account: Account) -> int | None:
        """None: there is no limit."""
        left = [] if self.open_ended else [self.remaining_micros]
        left += [max(limit - used, 0) for _, limit, used in self._limits(account)]
        return min(left, default=None)

    def refuses(self, account: Account, amount: int) -> Limit | None:
        """Call `turn` first."""
        if not self.open_ended and self.remaining_micros < amount:
            return "total"
        for name, limit, used in self._limits(account):
            if used + amount > limit:
                return name
        return None

    def _limits(self, account: Account) -> list[tuple[Limit, int, int]]:
        limits: list[tuple[Limit, int | None, int]] = [
            ("day", account.day_micros, self.day_micros),
            ("week", account.week_micros, self.week_micros),
            ("month", account.month_micros, self.month_micros),
        ]
        return [(name, limit, used) for name, limit, used in limits if limit is not None]


class Refusal(Struct, frozen=True):
    """Which limit of which balance does not leave enough. `left_micros` is what it does leave; `day` the day it is counted in."""

    balance_id: int
    limit: Limit
    left_micros: int = 0
    day: int = 0


class Held(Struct, frozen=True):
    """What a call has reserved on one balance. `day` 0: it was not counted by days; NOW: it is from now on."""

    balance_id: int
    amount_micros: int
    day: int


def take(
    states: Mapping[int, State], accounts: Sequence[Account], amount: int, days: Mapping[str, int]
) -> Refusal | list[Held]:
    """Reserve `amount` on every account or on none. `days`: time zone -> its day now."""
    for account in accounts:
        state = states.get(account.balance_id)
        if state is None:
            return Refusal(account.balance_id, "total")
        if account.periodic:
            state.turn(days[account.time_zone])
        if (limit := state.refuses(account, amount)) is not None:
            left = state.remaining_micros if limit == "total" else _left_of(state, account, limit)
            return Refusal(account.balance_id, limit, max(left, 0), state.day)
    held = []
    for account in accounts:
        state = states[account.balance_id]
        state.reserved_micros += amount
        state.remaining_micros -= amount
        if account.periodic:
            state.count(state.day, amount)
        held.append(Held(account.balance_id, amount, state.day if account.periodic else 0))
    return held


def give(states: Mapping[int, State], held: Sequence[Held], charge: int) -> int:
    """Close what a call holds; what it is really charged: never more than every balance can pay."""
    for hold in held:
        state = states[hold.balance_id]
        if not state.open_ended:
            charge = min(charge, hold.amount_micros + state.remaining_micros)
    for hold in held:
        state = states[hold.balance_id]
        state.used_micros += charge
        state.reserved_micros -= hold.amount_micros
        state.remaining_micros += hold.amount_micros - charge
        if hold.day:
            state.count(hold.day, charge - hold.amount_micros)
    return charge


def _left_of(state: State, account: Account, limit: Limit) -> int:
    return int(getattr(account, f"{limit}_micros")) - int(getattr(state, f"{limit}_micros"))
