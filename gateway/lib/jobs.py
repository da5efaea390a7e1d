"""Work that outlives a request: queued as a row, run by a worker, seen and cancelled on a page.

The row is the truth; the broker's message is only a nudge. A worker claims the row under a lease that each step renews,
so a job whose worker was killed is claimed again by another and goes on where its own rows say it stopped. A handler is
therefore written to be run twice: what it did already, it finds done.

    jobs.register("credentials.bulk", run_bulk)            # in AppConfig.ready()
    job = jobs.enqueue("credentials.bulk", title="Disable 12 credentials", params={"ids": [...]}, actor="alice")

    def run_bulk(run: jobs.Run) -> None:
        run.total(len(ids))
        for pk in ids:
            ...
            run.step(failed=not good)                      # renews the lease; raises Cancelled when asked to stop
        run.result(disabled=12)
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

logger = logging.getLogger(__name__)

LEASE_S = 30.0
MAX_ATTEMPTS = 5


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


class Run:
    """What a handler knows of its job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.params: dict[str, Any] = job.params

    def total(self, steps: int) -> None:
        raise NotImplementedError

    def step(self, *, done: int = 1, failed: int = 0) -> None:
        """Progress: written a few times a second at most, but always before `Cancelled` is raised."""
        raise NotImplementedError

    def result(self, **facts: Any) -> None:
        raise NotImplementedError


Handler = Callable[[Run], None]
_handlers: dict[str, Handler] = {}


def register(kind: str, handler: Handler) -> None:
    _handlers[kind] = handler


def enqueue(
    kind: str, *, title: str, params: dict[str, Any] | None = None, actor: str = "", total: int = 0
) -> Job:
    """Inside a transaction the worker is told when it commits."""
    raise NotImplementedError


def cancel(job: Job) -> Job:
    """A queued job is cancelled at once, a running one at its next step; a finished one stays as it is."""
    raise NotImplementedError


def run(job_id: str) -> None:
    """Claim the job and see it through; nothing happens when another worker has it or it is over."""
    raise NotImplementedError


def resume() -> int:
    """Nudges every job that is queued, or whose lease ran out; gives up those tried too often. How many were nudged."""
    raise NotImplementedError
