"""Credits that expire.

What a balance uses is taken from the lot that expires first, and from credits that never expire last. The hot path knows nothing of
lots: what was used since the last look is shared out before a new lot comes, and when one expires. So nothing is taken from a
lot that was used before it was there, and a lot that is looked at late has lost nothing to the delay.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from quotas.models import Balance, Entry, Hold, Lot
from quotas.services.balances import move


@transaction.atomic
def add_lot(*, entry: Entry, expires_at: datetime) -> Lot:
    """What this entry gave expires then. Call it in the transaction of the entry."""
    share_out(balance_id=entry.balance_id)
    return Lot.objects.create(
        balance_id=entry.balance_id,
        entry=entry,
        left_micros=entry.amount_micros,
        expires_at=expires_at,
    )


@transaction.atomic
def share_out(*, balance_id: int) -> Balance:
    """Take what was used since the last time from the lots, those first that expire first. The balance, locked."""
    balance = Balance.objects.select_for_update().get(pk=balance_id)
    used = balance.used_micros - balance.shared_out_micros
    if not used:
        return balance
    for lot in Lot.objects.filter(balance=balance, left_micros__gt=0).order_by("expires_at", "pk"):
        taken = min(lot.left_micros, used)
        Lot.objects.filter(pk=lot.pk).update(left_micros=lot.left_micros - taken)
        used -= taken
        if not used:
            break
    balance.shared_out_micros = balance.used_micros
    Balance.objects.filter(pk=balance_id).update(shared_out_micros=balance.used_micros)
    return balance


def expire_lots(*, now: datetime | None = None) -> tuple[int, int]:
    """Take away what is left of lots whose time is over: (balances, micros). What calls that began in time may still use of them
    waits for their end. Run it as often as you like."""
    now = now or timezone.now()
    due = Lot.objects.filter(expires_at__lte=now).order_by("balance").values_list("balance")
    balances = expired = 0
    for (balance_id,) in due.distinct():
        if micros := _expire(balance_id, now):
            balances, expired = balances + 1, expired + micros
    return balances, expired


@transaction.atomic
def _expire(balance_id: int, now: datetime) -> int:
    balance = share_out(balance_id=balance_id)
    due = Lot.objects.filter(balance=balance, expires_at__lte=now)
    lots = list(due.select_related("entry").order_by("expires_at", "pk"))
    waits = _waits(balance, lots)
    free = balance.remaining_micros
    expired = 0
    for lot in lots:
        gone = lot.left_micros
        if not balance.open_ended:
            gone = min(gone - waits[lot.pk], max(free, 0))
        if gone:
            move(
                balance_id=balance_id,
                amount_micros=-gone,
                kind=Entry.Kind.EXPIRE,
                reason=f"unspent of: {lot.entry.reason or lot.entry.kind}",
            )
            free -= gone
            expired += gone
        # With nothing reserved, what is missing was taken away by hand.
        if gone == lot.left_micros or not balance.reserved_micros:
            lot.delete()
        elif gone:
            Lot.objects.filter(pk=lot.pk).update(left_micros=lot.left_micros - gone)
    return expired


def _waits(balance: Balance, lots: Iterable[Lot]) -> dict[int, int]:
    """By lot, those first that expire first: how much of it calls have reserved that began before its time was over."""
    holds = []
    if balance.reserved_micros:
        holds = list(
            Hold.objects.filter(balance=balance.pk).values_list("created_at", "amount_micros")
        )
    waits, earlier = {}, 0
    for lot in lots:
        in_time = sum(amount for began_at, amount in holds if began_at < lot.expires_at)
        waits[lot.pk] = min(lot.left_micros, in_time - earlier)
        earlier += waits[lot.pk]
    return waits
