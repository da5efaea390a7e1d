"""What the jobs page and /api/jobs show: batch jobs, and the newest run of each kind of upkeep."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from msgspec import Struct

from gateway.lib.access import is_operator, is_steward
from gateway.lib.jobs import Job
from gateway.lib.upkeep import FAILURES

A_PAGE = 25
_STEWARDS_KINDS = "credentials."


def visible_to(user: object) -> QuerySet[Job]:
    """Operators see all, stewards what is about credentials, others nothing."""
    if is_operator(user):
        return Job.objects.all()
    if is_steward(user):
        return Job.objects.filter(kind__startswith=_STEWARDS_KINDS)
    return Job.objects.none()


class Upkeep(Struct, frozen=True):
    """`mark`: ok, warn or fail, with its `word`. `next_at` None: it stands in no schedule."""

    title: str
    mark: str
    word: str
    words: str
    started_at: datetime | None
    took_s: float | None
    next_at: datetime | None
    result: str


def upkeep(user: object, *, now: datetime | None = None) -> list[Upkeep]:
    """What fails or is late first."""
    now = now or timezone.now()
    rows = visible_to(user).filter(periodic=True).order_by("title")
    order = {"fail": 0, "warn": 1, "ok": 2}
    return sorted((_upkeep(job, now) for job in rows), key=lambda one: order[one.mark])


class Batch(Struct, frozen=True):
    """`running`: it can be cancelled."""

    job: Job
    mark: str
    word: str
    running: bool
    result: str


_MARKS = {
    Job.State.QUEUED: ("idle", "waits"),
    Job.State.RUNNING: ("busy", "runs"),
    Job.State.DONE: ("ok", "done"),
    Job.State.FAILED: ("fail", "failed"),
    Job.State.CANCELLED: ("idle", "cancelled"),
}


def batch_jobs(user: object) -> QuerySet[Job]:
    return visible_to(user).filter(periodic=False).order_by("-created_at", "-pk")


def told(jobs: Iterable[Job]) -> list[Batch]:
    return [_batch(job) for job in jobs]


def _batch(job: Job) -> Batch:
    mark, word = _MARKS[Job.State(job.state)]
    running = job.finished_at is None
    if running and job.cancel_requested:
        word = "stops"
    if job.state == Job.State.DONE and job.failed:
        mark = "warn"
    return Batch(job, mark, word, running and not job.cancel_requested, facts(job.result))


def facts(result: dict[str, Any]) -> str:
    """`{"rests_ended": 3}` as "3 rests ended"; what is 0 or empty is left out, and a job's own notes (`_reached`)."""
    told = []
    for name, value in result.items():
        if name.startswith("_"):
            continue
        words = name.replace("_", " ")
        if isinstance(value, dict):
            told.append(facts(value))
        elif isinstance(value, bool) or not isinstance(value, int | float):
            told.append(f"{words}: {value}")
        elif value:
            told.append(f"{value:,} {words}")
    return ", ".join(filter(None, told))


def _upkeep(job: Job, now: datetime) -> Upkeep:
    every = _every(job.kind)
    next_at = job.started_at + every if job.started_at and every else None
    took = job.finished_at - job.started_at if job.finished_at and job.started_at else None
    mark, word, words = "ok", "ok", ""
    if job.state == Job.State.FAILED or (job.state == Job.State.RUNNING and job.error):
        times = job.params.get(FAILURES, 1)
        mark, word = "fail", "failing"
        words = f"{job.error} (failed {times} times in a row)" if times > 1 else job.error
    elif next_at and every and now > next_at + every + timedelta(minutes=1):
        mark, word = "warn", "late"
        words = "It should have run again by now: is the worker running?"
    elif job.state == Job.State.RUNNING:
        word = "running"
    return Upkeep(
        title=str(job),
        mark=mark,
        word=word,
        words=words,
        started_at=job.started_at,
        took_s=took.total_seconds() if took is not None else None,
        next_at=next_at,
        result=facts(job.result),
    )


def _every(kind: str) -> timedelta | None:
    entry = settings.CELERY_BEAT_SCHEDULE.get(kind)
    return timedelta(seconds=entry["schedule"]) if entry else None
