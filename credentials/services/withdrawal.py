"""Taking back: out of the pool at once, the secret destroyed, and, when asked for, this site's access at Google ended.

With revocation the secret lives a little longer, sealed: the calls that are under way finish first (`Draining`), then Google is
asked, then it is destroyed. All of it is told by the row and its history, so whoever comes after a killed worker goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from credentials.client import GoogleClient
from credentials.models import TOPIC, Credential, Draining, Provider, Revocation, StateChange
from credentials.services import leftovers
from credentials.services.verdicts import set_state
from credentials.states import Event, State
from gateway.lib import jobs
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.errors import GatewayError
from gateway.lib.models import bump

JOB = "credentials.withdraw"
DRAINED = "drained"
"""The event in the history: no call uses it any more. Its reason is `STILL_RUNNING` when that was not waited for."""
REVOCATION = "revocation"
"""The event in the history: Google was asked to end the access. Its reason is what came of it."""
STILL_RUNNING = "still running"
REVOKED, REFUSED, UNREACHABLE, UNREADABLE = "done", "refused", "unreachable", "unreadable"

SEEN_BY_ALL = timedelta(seconds=3)
"""Every process has heard of the withdrawal by then, and has written down the calls it still runs."""
LONGEST_DRAIN = timedelta(minutes=10)
LONGEST_REVOCATION = timedelta(days=1)
_PATIENCE_S = 20.0
"""How long the job waits for calls; longer ones are left to the sweep, so that no worker is kept."""
_LOOK_S = 1.0
_JOBS_AT_ONCE = 3
_SWEEP_S = 60.0


def same_login(credential: Credential) -> list[Credential]:
    """The other rows that end when this site's access at Google ends: those with the same token, whoever brought them, and those
    of the same account from the same contributor."""
    if credential.provider != Provider.CODE_ASSIST:
        return []
    meant = Q(fingerprint=credential.fingerprint)
    if credential.email and credential.contributor_id:
        meant |= Q(email=credential.email, contributor_id=credential.contributor_id)
    rows = Credential.objects.filter(meant, provider=credential.provider)
    return list(rows.exclude(pk=credential.pk).exclude(state=State.WITHDRAWN).order_by("pk"))


@transaction.atomic
def withdraw(
    *, credential_id: int, revoke: bool = False, by: str = "contributor", now: float | None = None
) -> list[Credential]:
    """The withdrawn rows, the asked-for one first. Again, or without revocation after one with it, changes nothing. Raises
    Credential.DoesNotExist.

    `revoke` means something for Google accounts only, and takes all rows of the login along.
    """
    bump(TOPIC)  # makes the writers queue: what is read here stays true
    credential = Credential.objects.get(pk=credential_id)
    if credential.state == State.WITHDRAWN:
        return [credential]
    revoke = revoke and credential.provider == Provider.CODE_ASSIST
    rows = [credential, *(same_login(credential) if revoke else [])]
    now = time.time() if now is None else now
    ids = [row.pk for row in rows]
    # In the order of ids, as whoever books uses of several holds them: a new name locks a row against that.
    done = {
        pk: set_state(
            credential_id=pk, event=Event.WITHDRAWN, reason="", by=by, now=now, keep_secret=revoke
        )
        for pk in sorted(ids)
    }
    withdrawn = [done[pk] for pk in ids]
    if revoke:
        Credential.objects.filter(pk__in=ids).update(revocation=Revocation.ASKED)
        for row in withdrawn:
            row.revocation = Revocation.ASKED
    _enqueue(ids, by)
    return withdrawn


def _enqueue(ids: list[int], by: str) -> None:
    """Not a job for each of thousands: the sweep finishes those."""
    under_way = jobs.Job.objects.filter(
        kind=JOB, state__in=[jobs.Job.State.QUEUED, jobs.Job.State.RUNNING]
    )
    if under_way.count() < _JOBS_AT_ONCE:
        jobs.enqueue(JOB, title=_title(len(ids)), params={"credential_ids": ids}, actor=by)


def _title(count: int) -> str:
    return "Take a credential back" if count == 1 else f"Take {count} credentials of a login back"


def run_job(run: jobs.Run, *, wait: Callable[[float], None] = time.sleep) -> None:
    """Sees most withdrawals through within seconds. What takes longer is finished by `finish_withdrawals`."""
    waiting: list[int] = run.params["credential_ids"]
    run.total(len(waiting))
    deadline = time.monotonic() + _PATIENCE_S
    while waiting:
        left = [pk for pk in waiting if not finish(credential_id=pk)]
        run.step(done=len(waiting) - len(left))
        waiting = left
        if waiting and time.monotonic() > deadline:
            break
        if waiting:
            wait(_LOOK_S)
    run.result(finished=run.job.done, waiting=len(waiting))


def finish_withdrawals(*, client: GoogleClient | None = None, now: datetime | None = None) -> int:
    """Goes on with the withdrawals that are not over, for a minute; how many are over now."""
    deadline = time.monotonic() + _SWEEP_S
    over = 0
    # In any order: what waits for Google must not keep the others waiting.
    for pk in _unfinished().order_by("?").values_list("pk", flat=True):
        over += finish(credential_id=pk, client=client, now=now)
        if time.monotonic() > deadline:
            break
    return over


def _unfinished() -> QuerySet[Credential]:
    withdrawn = Credential.objects.filter(state=State.WITHDRAWN)
    drained = StateChange.objects.filter(event=DRAINED).values("credential_id")
    return withdrawn.filter(Q(secret_destroyed_at=None) | ~Q(pk__in=drained))


def finish(
    *, credential_id: int, client: GoogleClient | None = None, now: datetime | None = None
) -> bool:
    """One step further; whether it is over. Not for use inside a transaction: Google may be asked."""
    now = now or timezone.now()
    credential = Credential.objects.filter(pk=credential_id, state=State.WITHDRAWN).first()
    if credential is None:
        return True  # lent again meanwhile
    if not _is_drained(credential, now):
        return False
    if credential.secret_destroyed_at:
        return True
    if credential.revocation != Revocation.ASKED:
        _end(credential, credential.revocation, "", now)
        return True
    if _next_attempt(credential) > now:
        return False
    outcome = _ask_google(credential, client or GoogleClient())
    if outcome in (REVOKED, REFUSED):
        _end(credential, _revocation(outcome), outcome, now)
        return True
    if now - _withdrawn_at(credential) < LONGEST_REVOCATION:
        _remember(credential, REVOCATION, outcome, now)
        return False
    _end(credential, Revocation.REFUSED, outcome, now)
    return True


def _is_drained(credential: Credential, now: datetime) -> bool:
    """Whether no call uses it, or another that was withdrawn with it, any more. Written into the history once."""
    withdrawn_at = _withdrawn_at(credential)
    if _events(credential, DRAINED).exists():
        return True
    age = now - withdrawn_at
    if age < SEEN_BY_ALL:
        return False
    living = now - timedelta(seconds=settings.HOLDER_LEASE_S)
    meant = Q(credential=credential)
    if credential.revocation == Revocation.ASKED:
        of_one_act = Credential.objects.filter(
            Q(contributor_id=credential.contributor_id) | Q(fingerprint=credential.fingerprint),
            withdrawn_at=withdrawn_at,
            revocation=Revocation.ASKED,
        )
        meant |= Q(credential__in=of_one_act)
    running = Draining.objects.filter(meant, calls__gt=0, at__gte=living).exists()
    if running and age < LONGEST_DRAIN:
        return False
    _remember(credential, DRAINED, STILL_RUNNING if running else "", now)
    return True


def _next_attempt(credential: Credential) -> datetime:
    """A minute after the first failure, then twice as long each time, an hour at most."""
    failures = list(_events(credential, REVOCATION).values_list("at", flat=True))
    if not failures:
        return _withdrawn_at(credential)
    return max(failures) + timedelta(minutes=min(2 ** (len(failures) - 1), 60))


def _ask_google(credential: Credential, client: GoogleClient) -> str:
    try:
        secret = credential.secret.open()
        proxy = credential.proxy.open().get("url", "")
    except SecretUnreadable:
        return UNREADABLE
    token = secret.get("refresh_token") or secret.get("access_token", "")
    if not token:
        return REFUSED
    try:
        return REVOKED if client.revoke(token=token, proxy=proxy) else REFUSED
    except GatewayError:
        return UNREACHABLE


def _revocation(outcome: str) -> Revocation:
    return Revocation.DONE if outcome == REVOKED else Revocation.REFUSED


@transaction.atomic
def _end(credential: Credential, revocation: str, outcome: str, now: datetime) -> None:
    """Two may come here at once: what the first wrote stays."""
    row = Credential.objects.select_for_update().get(pk=credential.pk)
    if row.state != State.WITHDRAWN or row.secret_destroyed_at:
        return
    leftovers.destroy_secret(row, at=now)
    Credential.objects.filter(pk=row.pk).update(revocation=revocation)
    if outcome:
        _write(row, REVOCATION, outcome, now)


@transaction.atomic
def _remember(credential: Credential, event: str, reason: str, now: datetime) -> None:
    row = Credential.objects.select_for_update().get(pk=credential.pk)
    if event == DRAINED and _events(row, DRAINED).exists():
        return
    if row.state == State.WITHDRAWN:
        _write(row, event, reason, now)


def _write(credential: Credential, event: str, reason: str, now: datetime) -> None:
    StateChange.objects.create(
        credential=credential,
        event=event,
        from_state=credential.state,
        to_state=credential.state,
        reason=reason,
        by="upkeep",
        at=now,
    )


def _events(credential: Credential, event: str) -> QuerySet[StateChange]:
    """Of this withdrawal; the credential may have been lent and taken back before."""
    return StateChange.objects.filter(
        credential=credential, event=event, at__gte=_withdrawn_at(credential)
    )


def _withdrawn_at(credential: Credential) -> datetime:
    return credential.withdrawn_at or credential.updated_at
