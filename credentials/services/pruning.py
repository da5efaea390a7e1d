"""What nobody needs any more is deleted. The history of states stays: it is what explains a credential."""

from __future__ import annotations

import time
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from credentials.caps import upstream_day
from credentials.models import Budget, Chore, DailyUse, Draining, Notice, ProbeClaim
from credentials.states import State

_NOTICES_DAYS = 180


def prune() -> dict[str, int]:
    """How many rows of what were deleted. A living process renews its rows of `Draining` every few seconds."""
    now = timezone.now()
    oldest_day = upstream_day(time.time()) - timedelta(days=settings.USE_RETENTION_DAYS)
    gone = {
        "days_of_use": DailyUse.objects.filter(day__lt=oldest_day),
        "probe_claims": ProbeClaim.objects.filter(until__lt=now - timedelta(hours=1)),
        "draining": Draining.objects.filter(at__lt=now - timedelta(hours=1)),
        "notices": Notice.objects.filter(closed_at__lt=now - timedelta(days=_NOTICES_DAYS)),
        "budgets": Budget.objects.filter(hour__lt=now - timedelta(days=2)),
        "chores": Chore.objects.filter(credential__state=State.WITHDRAWN),
    }
    return {name: rows.delete()[0] for name, rows in gone.items()}
