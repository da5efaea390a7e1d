"""What one key, person or group may do, as the proxy knows it. Pure.

A call has up to three of them, the key's first, and all must agree: the tightest wins.
"""

from __future__ import annotations

from msgspec import Struct


class Account(Struct, frozen=True):
    """A balance that a call is booked on, and how much of it may go in a day, week or month; None: no such limit."""

    balance_id: int
    day_micros: int | None = None
    week_micros: int | None = None
    month_micros: int | None = None
    time_zone: str = ""

    @property
    def periodic(self) -> bool:
        limits = (self.day_micros, self.week_micros, self.month_micros)
        return any(limit is not None for limit in limits)


class Terms(Struct, frozen=True):
    """`scope`: k, u or g for a key, a person or a group, and its id: "k17". None and () do not limit."""

    scope: str
    account: Account | None = None
    rpm: int | None = None
    rpd: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    allowed_models: tuple[str, ...] = ()
    allowed_dialects: tuple[str, ...] = ()
    allowed_networks: tuple[str, ...] = ()
    time_zone: str = ""

    @property
    def paced(self) -> bool:
        """Its calls have to pass a gate."""
        limits = (self.rpm, self.rpd, self.tpm, self.concurrency)
        return any(limit is not None for limit in limits)


WHOSE = {"k": "this key", "u": "its owner", "g": "its owner's group"}
"""For messages."""
