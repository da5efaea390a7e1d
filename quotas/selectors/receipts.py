"""What became of one request's credits."""

from __future__ import annotations

from msgspec import Struct

from quotas.models import Entry, Hold


class Receipt(Struct, frozen=True):
    """`state`: open (the call runs), settled or refunded. `refunded_micros` is what went back. A call is booked alike on all its
    balances: those of its key, the key's owner and their group."""

    request_id: str
    state: str
    reserved_micros: int
    settled_micros: int
    refunded_micros: int
    reason: str
    balance_ids: tuple[int, ...] = ()


def receipt(request_id: str) -> Receipt | None:
    """None when nothing was ever reserved for the request."""
    holds = list(Hold.objects.filter(request_id=request_id).order_by("balance_id"))
    if holds:
        ids = tuple(hold.balance_id for hold in holds)
        amount = holds[0].amount_micros
        return Receipt(request_id, "open", amount, 0, 0, "the call is running", ids)
    entries = list(Entry.objects.filter(request_id=request_id).order_by("id"))
    if not entries:
        return None
    one = [entry for entry in entries if entry.balance_id == entries[0].balance_id]
    reserved = sum(entry.reserved_micros for entry in one)
    settled = sum(e.amount_micros for e in one if e.kind == Entry.Kind.SETTLE)
    return Receipt(
        request_id=request_id,
        state="settled" if settled else "refunded",
        reserved_micros=reserved,
        settled_micros=settled,
        refunded_micros=max(reserved - settled, 0),
        reason="; ".join(entry.reason for entry in one if entry.reason),
        balance_ids=tuple(sorted({entry.balance_id for entry in entries})),
    )
