"""Work that outlives a request: queued as a row, run by a worker, seen and cancelled on a page.

The row is the truth; the broker's message is only a nudge. A worker claims the row under a lease that each step renews,
so a job whose worker was killed is claimed again by another and goes on where its own rows say it stopped. A handler is
therefore written to be run twice: what it did already, it finds done.

    jobs.register("credentials.bulk", run_bulk)            # in AppConfig.ready()
    job = jobs.enqueue("credentials.bulk", title="Disable 12 credentials", params={"ids": [...]}, actor="alice")

    def run_bulk(run: jobs.Run) -> None:
        run.total(len(ids))                                # begins the count anew, also when it is taken up again
        for pk in ids:
            ...
            run.step(failed=not good)                      # renews the lease; raises Cancelled when asked to stop
        run.result(disabled=12)
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, ClassVar

from celery import current_app
from django.db import InterfaceError, OperationalError, models, transaction
from django.db.models import F, Q
from django.utils import timezone
from kombu.exceptions import ChannelError, KombuError

from gateway.lib import leases
from gateway.lib.errors import GatewayError

logger = logging.getLogger(__name__)

LEASE_S = 30.0
MAX_ATTEMPTS = 5
STUCK_S = 900.0
"""A handler that makes no step for so long is taken for hung: its lease runs out, its worker ends (gateway/watch.py), and
another may claim."""
_TELL_S = 0.3
_NUDGE_EXPIRES_S = 60
_NUDGES_AT_ONCE = 50
_TASK = "gateway.tasks.run_job"


class Job(models.Model):
    """`params` and `result` hold ids, names and counts, never a secret: both are shown.

    Upkeep has one row a kind, with `periodic` set, that tells of its newest run; a batch job has a row of its own.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=60, db_index=True)
    title = models.CharField(max_length=200, blank=True)
    periodic = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    params = models.JSONField(default=dict, blank=True)
    result = models.JSONField(default=dict, blank=True)
    error = models.CharField(max_length=500, blank=True)
    total = models.IntegerField(default=0)
    done = models.IntegerField(default=0, help_text="Steps that are over, the failed ones too.")
    failed = models.IntegerField(default=0)
    attempts = models.IntegerField(default=0)
    runs = models.IntegerField(default=0, help_text="Of upkeep: how often it ran.")
    actor = models.CharField(max_length=150, blank=True)
    cancel_requested = models.BooleanField(default=False)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "gateway"
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind"], condition=models.Q(periodic=True), name="job_one_row_of_upkeep"
            )
        ]

    def __str__(self) -> str:
        return self.title or self.kind


class Cancelled(Exception):
    """Somebody asked the job to stop. Raised by `Run.step`; a handler lets it pass."""


class Interrupted(Exception):
    """It is no longer this worker's. Raised by `Run.step`; a handler lets it pass."""


class _Lost(Interrupted):
    """The lease ran out and the job is another's by now."""


class _PutBack(Interrupted):
    """This worker is asked to stop: the job is put back, and another goes on with it."""


_stopping = threading.Event()
_hanging: list[str] = []


class Run:
    """What a handler knows of its job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.params: dict[str, Any] = job.params
        self._told_s = 0.0
        self._stepped_s = time.monotonic()

    def total(self, steps: int) -> None:
        """How many steps there are; what was counted before is forgotten."""
        self.job.total, self.job.done, self.job.failed = steps, 0, 0
        self._tell()

    def step(self, *, done: int = 1, failed: int = 0) -> None:
        """Progress: written a few times a second at most, but always before `Cancelled` is raised."""
        self.job.done += done
        self.job.failed += failed
        self._stepped_s = time.monotonic()
        if self._stepped_s - self._told_s >= _TELL_S:
            self._tell()

    def result(self, **facts: Any) -> None:
        """Adds to what is shown at the end, but for names that begin with _: by these a handler finds its place again."""
        self.job.result = {**self.job.result, **facts}

    def _tell(self) -> None:
        self._told_s = time.monotonic()
        told = _held(self.job).update(lease_until=lease(), **self._facts())
        if not told:
            raise _Lost
        if _stopping.is_set():
            # A stop is no failure: it must not use up the attempts of a long job.
            _held(self.job).update(
                state=Job.State.QUEUED, lease_until=None, attempts=F("attempts") - 1
            )
            raise _PutBack
        if _held(self.job).filter(cancel_requested=True).exists():
            raise Cancelled

    def end(self, state: Job.State, error: str = "", **fields: Any) -> None:
        """By the runner, not by a handler."""
        _held(self.job).update(
            state=state,
            error=error[:500],
            lease_until=None,
            finished_at=timezone.now(),
            **self._facts(),
            **fields,
        )

    def _facts(self) -> dict[str, Any]:
        return {name: getattr(self.job, name) for name in ("total", "done", "failed", "result")}

    def _hangs(self) -> bool:
        return time.monotonic() - self._stepped_s > STUCK_S


Handler = Callable[[Run], None]
_handlers: dict[str, Handler] = {}


def register(kind: str, handler: Handler) -> None:
    _handlers[kind] = handler


def enqueue(
    kind: str, *, title: str, params: dict[str, Any] | None = None, actor: str = "", total: int = 0
) -> Job:
    """Inside a transaction the worker is told when it commits."""
    job = Job.objects.create(
        kind=kind, title=title[:200], params=params or {}, actor=actor[:150], total=total
    )
    transaction.on_commit(lambda: _nudge(job))
    return job


def cancel(job: Job) -> Job:
    """A queued job is cancelled at once, a running one at its next step; a finished one stays as it is."""
    rows = Job.objects.filter(pk=job.pk, periodic=False)
    # Asked first, in whichever state it is: between two looks it may be claimed, or be put back.
    rows.filter(finished_at=None).update(cancel_requested=True)
    rows.filter(state=Job.State.QUEUED).update(
        state=Job.State.CANCELLED, finished_at=timezone.now()
    )
    job.refresh_from_db()
    return job


def run(job_id: str) -> None:
    """Claim the job and see it through; nothing happens when another worker has it or it is over."""
    job = _claim(job_id)
    if job is None:
        return
    current = Run(job)
    try:
        with kept(current):
            _perform(current)
    except Interrupted:
        logger.info("job %s (%s) is left to another worker", job.pk, job.kind)
    except (OperationalError, InterfaceError) as exc:
        logger.warning("job %s (%s) waits for the database: %s", job.pk, job.kind, exc)


def _perform(current: Run) -> None:
    job = current.job
    handler = _handlers.get(job.kind)
    if handler is None:
        current.end(Job.State.FAILED, "This version of the program knows no such job.")
        return
    try:
        if job.cancel_requested:
            raise Cancelled
        handler(current)
    except Cancelled:
        current.end(Job.State.CANCELLED)
    except (Interrupted, OperationalError, InterfaceError):
        # The database may be back in a moment: the lease runs out and the job is taken up again.
        raise
    except GatewayError as exc:
        logger.warning("job %s (%s) failed: %s", job.pk, job.kind, exc)
        current.end(Job.State.FAILED, exc.message)
    except Exception:
        logger.exception("job %s (%s) failed", job.pk, job.kind)
        current.end(Job.State.FAILED, f"It failed unexpectedly: the log tells more (job {job.pk}).")
    else:
        current.end(Job.State.DONE)


def put_back_all(**_: object) -> None:
    """Every job of this process goes back into the queue at its next step; for a worker that is told to stop."""
    _stopping.set()


def hanging() -> list[str]:
    """The kinds of what was given up in this process: each still holds a thread of it."""
    return _hanging


def resume() -> int:
    """Nudges every job that is queued, or whose lease ran out; gives up those tried too often. How many were nudged."""
    now = timezone.now()
    lapsed = Job.objects.filter(periodic=False, state=Job.State.RUNNING, lease_until__lt=now)
    lapsed.filter(attempts__gte=MAX_ATTEMPTS).update(
        state=Job.State.FAILED,
        error=f"Its worker died {MAX_ATTEMPTS} times over it: the log of the worker may tell why.",
        lease_until=None,
        finished_at=now,
    )
    # A job that waits is nudged again when its last message must have expired.
    queued = Job.objects.filter(periodic=False, state=Job.State.QUEUED).filter(
        Q(lease_until=None, created_at__lt=now - timedelta(seconds=10)) | Q(lease_until__lt=now)
    )
    jobs = [*lapsed.order_by("created_at"), *queued.order_by("created_at")[:_NUDGES_AT_ONCE]]
    for job in jobs:
        queued.filter(pk=job.pk).update(lease_until=now + timedelta(seconds=_NUDGE_EXPIRES_S))
        _nudge(job)
    return len(jobs)


def prune(*, days: int) -> int:
    """Forgets batch jobs that ended longer ago; how many."""
    old = Job.objects.filter(periodic=False, finished_at__lt=timezone.now() - timedelta(days=days))
    return old.delete()[0]


def _nudge(job: Job) -> None:
    """A lost one costs a few seconds: `resume` finds the row."""
    try:
        current_app.signature(_TASK, args=(str(job.pk),)).apply_async(
            expires=_NUDGE_EXPIRES_S, retry=False
        )
    except (KombuError, ChannelError, OSError) as exc:
        logger.warning("no worker could be told of job %s: %s", job.pk, exc)


def _claim(job_id: str) -> Job | None:
    """`attempts` is also the number of the lease: who holds an older one holds nothing."""
    now = timezone.now()
    claimable = Q(state=Job.State.QUEUED) | Q(state=Job.State.RUNNING, lease_until__lt=now)
    job = Job.objects.filter(claimable, pk=job_id, periodic=False).first()
    if job is None or job.attempts >= MAX_ATTEMPTS:
        return None
    claimed = Job.objects.filter(claimable, pk=job_id, attempts=job.attempts).update(
        state=Job.State.RUNNING,
        attempts=F("attempts") + 1,
        started_at=job.started_at or now,
        lease_until=lease(),
    )
    if not claimed:
        return None
    job.refresh_from_db()
    return job


def _held(job: Job) -> models.QuerySet[Job]:
    return Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, attempts=job.attempts)


def lease() -> datetime:
    return timezone.now() + timedelta(seconds=LEASE_S)


def kept(current: Run) -> AbstractContextManager[None]:
    """One step may take longer than the lease."""

    def renew() -> bool:
        if current._hangs():
            logger.error("job %s makes no step for %d s: given up", current.job.pk, STUCK_S)
            _hanging.append(current.job.kind)
            return False
        return bool(_held(current.job).update(lease_until=lease()))

    return leases.renewed(renew, every_s=LEASE_S / 3)
