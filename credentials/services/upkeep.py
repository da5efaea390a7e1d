"""What is seen to without anybody asking: fresh tokens, e-mail addresses, projects, the upstream's new day.

Every function is one round: it sees to what is due now and may be run again at any time. A round that dies half way leaves
the rest due.
"""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from credentials import upstream
from credentials.caps import upstream_day
from credentials.models import Allowance, Chore, Credential, ModelState, moment
from credentials.services import chores
from credentials.services.editing import look_up_email
from credentials.services.refreshing import RefreshRefused, refresh_access_token
from credentials.services.verdicts import apply_verdicts
from credentials.states import RESTING, Event, StateMove
from gateway.lib import jobs
from gateway.lib.errors import UpstreamFailed

BY = "upkeep"

_AGAIN_S = 24 * 3600.0
_REFUSED_S = 3600.0
_SPREAD = 1.5
"""Tokens are refreshed between this many times REFRESH_AHEAD_S and once it before they expire."""
GUESSED = ("quota_exhausted",)
"""Reasons of rests whose end the upstream did not name: a day's quota may be behind them."""


def refresh_logins(run: jobs.Run) -> None:
    """Ahead of the expiry, each at a moment of its own: no call has to wait for it."""
    ids = chores.due(chores.logins(), Chore.Kind.REFRESH)
    refreshed: list[int] = []

    def refresh(credential_id: int) -> datetime:
        secret = Credential.objects.only("secret").get(pk=credential_id).secret.open()
        now = time.time()
        if secret.get("expires_at", 0) > now + settings.REFRESH_AHEAD_S * _SPREAD:
            return _before(secret["expires_at"])
        try:
            row = refresh_access_token(
                credential_id=credential_id, stale_token=secret.get("access_token", "")
            )
        except RefreshRefused as refused:
            if refused.reason == "secret_unreadable":
                raise
            # Its state tells why, and takes it out of what is due.
            return timezone.now() + chores.spread(_REFUSED_S)
        refreshed.append(credential_id)
        return _before(row.secret.open()["expires_at"])

    _, failed = chores.see_to(run, Chore.Kind.REFRESH, ids, refresh)
    run.result(refreshed=len(refreshed), failed=failed)


def look_up_emails(run: jobs.Run) -> None:
    ids = chores.due(chores.logins().filter(email=""), Chore.Kind.EMAIL)

    def look_up(credential_id: int) -> datetime:
        if not look_up_email(credential_id=credential_id).email:
            raise UpstreamFailed("Google names no verified address for this account.")
        return timezone.now() + chores.spread(_AGAIN_S)

    found, failed = chores.see_to(run, Chore.Kind.EMAIL, ids, look_up)
    run.result(found=found, failed=failed)


def discover_projects(run: jobs.Run) -> None:
    ids = chores.due(chores.logins().filter(project_id=""), Chore.Kind.PROJECT)

    def discover(credential_id: int) -> datetime:
        found = upstream.current().set_up(credential_id)
        if not found.project:
            raise UpstreamFailed(found.words or "Google names no project for this account.")
        return timezone.now() + chores.spread(_AGAIN_S)

    found, failed = chores.see_to(run, Chore.Kind.PROJECT, ids, discover)
    run.result(found=found, failed=failed)


def begin_day(run: jobs.Run, *, now: float | None = None) -> None:
    """At the upstream's midnight the daily quotas are whole again: rests that waited for it without knowing when are over, and
    what was counted against caps is no longer needed. Once a day, however late."""
    now = time.time() if now is None else now
    today = upstream_day(now)
    run.result(day=today.isoformat())
    if run.params.get("day") not in (None, today.isoformat()):
        ended = end_rests(reasons=GUESSED, now=now)
        # Yesterday's may still be given back by calls that began before midnight.
        forgotten, _ = Allowance.objects.filter(day__lt=today - timedelta(days=1)).delete()
        run.result(rests_ended=ended, allowances_forgotten=forgotten)
    # Last, as a day that failed is begun again.
    run.params["day"] = today.isoformat()


@transaction.atomic
def end_rests(*, reasons: tuple[str, ...], now: float | None = None) -> int:
    """Credentials, and single models of them, that rest for one of the reasons may serve again. How many rests that were."""
    at = moment(time.time() if now is None else now)
    whole = Credential.objects.filter(
        state__in=RESTING, state_until__gt=at, state_reason__in=reasons
    ).values_list("pk", flat=True)
    models = ModelState.objects.filter(
        state__in=RESTING, until__gt=at, reason__in=reasons
    ).values_list("credential_id", "model")
    moves = [StateMove(credential_id=pk, event=Event.RESTED, whole=True) for pk in whole]
    moves += [StateMove(credential_id=pk, event=Event.RESTED, model=model) for pk, model in models]
    return apply_verdicts(moves, by=BY, now=now)


def _before(expires_at: float) -> datetime:
    """When to refresh a token that expires then: at a moment of its own, and not before half its time is over."""
    left_s = max(expires_at - time.time(), 0.0)
    ahead_s = settings.REFRESH_AHEAD_S * random.uniform(1.0, _SPREAD)
    return timezone.now() + timedelta(seconds=max(left_s - ahead_s, left_s / 2))
