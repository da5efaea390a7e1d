"""What is left of the upstream's daily quota, looked up within QUOTA_READINGS_PER_HOUR (reference 2.9), and what follows from it:
a model that is used up rests before a call meets that, one whose rest is to be left to its contributor rests too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from credentials import upstream
from credentials.caps import next_upstream_midnight
from credentials.models import Chore, Credential, ModelState, QuotaReading, epoch
from credentials.services import chores
from credentials.services.editing import set_preview
from credentials.services.verdicts import apply_verdicts
from credentials.states import Event, State, StateMove
from credentials.upstream import Bucket
from gateway.lib import jobs

EVERY_S = 300.0
RESERVE = "contributor_reserve"
"""Why a model rests whose remaining quota its contributor keeps."""
_BUDGET = "quota"
_AGAIN_S = 3 * 3600.0
_AGAIN_WITH_RESERVE_S = 15 * 60.0
_BARRED_S = 12 * 3600.0


def read_quotas(run: jobs.Run) -> None:
    an_hour = settings.QUOTA_READINGS_PER_HOUR
    rows = chores.logins().exclude(project_id="")
    due = chores.due(rows, Chore.Kind.QUOTA, chores.share(an_hour, EVERY_S))
    ids = [pk for pk in due if chores.take(_BUDGET, an_hour)]
    read, failed = chores.see_to(run, Chore.Kind.QUOTA, ids, _read_one)
    run.result(read=read, failed=failed)


def read_quota(*, credential_id: int) -> list[QuotaReading]:
    """Look it up now. Raises GatewayError."""
    return keep_readings(
        credential_id=credential_id, buckets=upstream.current().quota(credential_id)
    )


@transaction.atomic
def keep_readings(
    *, credential_id: int, buckets: Sequence[Bucket], now: float | None = None
) -> list[QuotaReading]:
    """Stores what was read and moves the models it says something about."""
    now = time.time() if now is None else now
    credential = Credential.objects.get(pk=credential_id)
    read_at = timezone.now()
    readings = [
        QuotaReading(
            credential_id=credential_id,
            model=model,
            remaining_fraction=bucket.remaining_fraction,
            remaining_calls=bucket.remaining_calls,
            resets_at=bucket.resets_at,
            read_at=read_at,
        )
        for model, bucket in {bucket.model: bucket for bucket in buckets}.items()
    ]
    QuotaReading.objects.bulk_create(
        readings,
        update_conflicts=True,
        unique_fields=["credential", "model"],
        update_fields=["remaining_fraction", "remaining_calls", "resets_at", "read_at"],
    )
    _move(credential, buckets, now)
    _learn_preview(credential, buckets)
    return readings


def _read_one(credential_id: int) -> datetime:
    read_quota(credential_id=credential_id)
    row = Credential.objects.only("stop_below_percent").get(pk=credential_id)
    again_s = _AGAIN_WITH_RESERVE_S if row.stop_below_percent else _AGAIN_S
    return timezone.now() + chores.spread(again_s)


def _move(credential: Credential, buckets: Sequence[Bucket], now: float) -> None:
    rows = ModelState.objects.filter(credential=credential)
    states = {row.model: row for row in rows}
    found = (_consequence(credential, bucket, states.get(bucket.model), now) for bucket in buckets)
    moves = [move for move in found if move is not None]
    google = [move for move in moves if move.event in (Event.MODEL_MISSING, Event.QUOTA)]
    apply_verdicts([move for move in google if move.reason != RESERVE], now=now)
    ours = [move for move in moves if move.event is Event.RESTED or move.reason == RESERVE]
    apply_verdicts(ours, now=now, by="upkeep")


def _consequence(
    credential: Credential, bucket: Bucket, row: ModelState | None, now: float
) -> StateMove | None:
    reset = epoch(bucket.resets_at) or next_upstream_midnight(now)
    resting = row is not None and row.standing.rests(now)
    kept_back = resting and row is not None and row.reason == RESERVE
    percent = bucket.remaining_fraction * 100

    def move(event: Event, reason: str = "", until: float = 0.0) -> StateMove:
        return StateMove(
            credential_id=credential.pk,
            event=event,
            model=bucket.model,
            reason=reason,
            until=until,
        )

    if bucket.barred:
        missing = resting and row is not None and row.state == State.MISSING
        if missing:
            return None
        return move(Event.MODEL_MISSING, "model_missing", now + _BARRED_S)
    if bucket.remaining_fraction <= 0.0 and bucket.resets_at is not None and reset > now:
        return move(Event.QUOTA, "daily_quota", reset)
    if percent < (credential.stop_below_percent or 0):
        return move(Event.QUOTA, RESERVE, reset)
    return move(Event.RESTED) if kept_back else None


def _learn_preview(credential: Credential, buckets: Sequence[Bucket]) -> None:
    """Preview access shows in a bucket of a preview model (reference 2.9)."""
    previews = [bucket for bucket in buckets if "preview" in bucket.model]
    if not previews:
        return
    has = any(not bucket.barred for bucket in previews)
    if credential.preview is not has:
        set_preview(credential_id=credential.pk, preview=has)
