"""Which credits of a balance expire, and when."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from msgspec import Struct

from quotas.models import Balance, Lot


class Expiring(Struct, frozen=True):
    """`micros` that are left of a lot now, when all that was used is taken from the lots that expire first."""

    micros: int
    expires_at: datetime


def expiring(balance: Balance) -> list[Expiring]:
    """Soonest first."""
    used = balance.used_micros - balance.shared_out_micros
    found = []
    now = timezone.now()
    for lot in Lot.objects.filter(balance=balance, left_micros__gt=0).order_by("expires_at", "pk"):
        taken = min(lot.left_micros, used)
        used -= taken
        if lot.left_micros > taken and lot.expires_at > now:
            found.append(Expiring(lot.left_micros - taken, lot.expires_at))
    return found
