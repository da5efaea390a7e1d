"""Work that comes round by itself. Each kind has one row on the jobs page that tells of its newest run (gateway/lib/jobs.py).

    @shared_task
    @upkeep("Refresh logins before they expire")
    def refresh_logins(run: jobs.Run) -> None:
        run.result(refreshed=12)

The row is also a lease: however many schedulers and workers there are, one kind runs once at a time, and a run whose worker
was killed is over when the lease ran out. A run that fails says so there, in words, and the next one tries again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from django.db import InterfaceError, OperationalError, models
from django.db.models import F, Q
from django.utils import timezone

from gateway.lib import jobs
from gateway.lib.errors import GatewayError
from gateway.lib.jobs import Job

logger = logging.getLogger(__name__)

T = TypeVar("T")

FAILURES = "failures_in_a_row"
"""Among the params of the row."""


def upkeep(title: str) -> Callable[[Callable[[jobs.Run], T]], Callable[[], T | None]]:
    """The work gets a `Run`; its kind is the task's name. What is decorated returns None when it did not run."""

    def decorate(work: Callable[[jobs.Run], T]) -> Callable[[], T | None]:
        kind = f"{work.__module__}.{work.__name__}"

        @wraps(work)
        def once() -> T | None:
            try:
                job = _begin(kind, title)
                return None if job is None else _perform(job, work)
            except (OperationalError, InterfaceError) as exc:
                logger.warning("%s waits for the database: %s", kind, exc)
                return None

        return once

    return decorate


def _begin(kind: str, title: str) -> Job | None:
    """None when another runs it now."""
    now = timezone.now()
    rows: models.Manager[Job] = Job.objects
    job, _ = rows.get_or_create(kind=kind, periodic=True, defaults={"title": title})
    free = ~Q(state=Job.State.RUNNING) | Q(lease_until__lt=now)
    begun = rows.filter(free, pk=job.pk, attempts=job.attempts).update(
        state=Job.State.RUNNING,
        title=title,
        attempts=F("attempts") + 1,
        runs=F("runs") + 1,
        total=0,
        done=0,
        failed=0,
        result={},
        started_at=now,
        finished_at=None,
        lease_until=jobs.lease(),
    )
    if not begun:
        return None
    job.refresh_from_db()
    return job


def _perform(job: Job, work: Callable[[jobs.Run], T]) -> T | None:
    run = jobs.Run(job)
    try:
        with jobs.kept(run):
            outcome = work(run)
    except jobs.Interrupted:
        logger.info("%s stops here: another goes on with it", job.kind)
        return None
    except (OperationalError, InterfaceError):
        raise
    except GatewayError as exc:
        logger.warning("%s failed: %s", job.kind, exc)
        _fail(run, exc.message)
    except Exception:
        logger.exception("%s failed", job.kind)
        _fail(run, "It failed unexpectedly: the log of the worker tells more.")
    else:
        run.end(Job.State.DONE, params={**job.params, FAILURES: 0})
        return outcome
    return None


def _fail(run: jobs.Run, words: str) -> None:
    failures = run.params.get(FAILURES, 0) + 1
    run.end(Job.State.FAILED, words, params={**run.params, FAILURES: failures})
