"""The life signs of processes, and the sweep of what dead ones held."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

from django.db.models.functions import Now

from quotas import ledger
from quotas.models import Hold, Holder

_SWEEP_BATCH = 500


def beat(*, holder_id: str) -> None:
    """Say that this process lives, by the database's own clock."""
    if not Holder.objects.filter(pk=holder_id).update(beat_at=Now()):
        Holder.objects.create(
            id=holder_id, host=socket.gethostname()[:200], pid=os.getpid(), beat_at=Now()
        )


def leave(*, holder_id: str) -> None:
    """The process ends in order; holds it could not close are the next sweep's."""
    Holder.objects.filter(pk=holder_id).delete()


def sweep(*, lease_s: float) -> int:
    """Refund the holds of processes that gave no life sign for `lease_s`; how many there were.

    Run it as often as you like, in as many processes: each hold is closed by whoever deletes it.
    """
    living = Holder.objects.filter(beat_at__gte=Now() - timedelta(seconds=lease_s))
    swept, last = 0, ""
    while True:
        abandoned = list(
            Hold.objects.exclude(holder_id__in=living.values("id"))
            .filter(request_id__gt=last)
            .order_by("request_id")
            .values_list("request_id", flat=True)
            .distinct()[:_SWEEP_BATCH]
        )
        if not abandoned:
            break
        for request_id in abandoned:
            # One at a time: whoever closes several at once elsewhere waits for this one, and never the other way round.
            closes = [ledger.Close(request_id, 0, "the process serving the call died")]
            _, [booked] = ledger.book([], closes, holder_id="")
            swept += booked.accepted
        last = abandoned[-1]
    # Longer than any clock trouble: a process that is only frozen finds its row again.
    Holder.objects.filter(beat_at__lt=Now() - timedelta(days=1)).delete()
    return swept
