"""The worker's side of jobs (gateway/lib/jobs.py), and of settings that change while it runs."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from celery import shared_task
from celery.signals import task_prerun, worker_init
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from gateway.lib import site_settings
from gateway.lib.jobs import Run
from gateway.lib.upkeep import upkeep

JOB_TIME_LIMIT_S = 24 * 3600
"""A job may be long: one that hangs is noticed by the steps it does not make (gateway/lib/jobs.py)."""


@shared_task(name="gateway.tasks.run_job", time_limit=JOB_TIME_LIMIT_S)
def run_job(job_id: str) -> None:
    from gateway.lib.jobs import run

    run(job_id)


@shared_task(name="gateway.tasks.resume_jobs")
def resume_jobs() -> int:
    """Jobs whose worker died, or whose message was lost, are taken up again."""
    from gateway.lib.jobs import resume

    return resume()


@shared_task
@upkeep("Jobs that are long over")
def prune_jobs(run: Run) -> None:
    from gateway.lib.jobs import prune

    run.result(deleted=prune(days=settings.JOB_RETENTION_DAYS))


@shared_task
@upkeep("Visits that are over")
def clear_sessions(run: Run) -> None:
    """Signed in or not, a visit leaves a row, and who signed in one more for their list: nobody else takes them away."""
    deleted, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
    known = Session.objects.values("session_key")
    UserSession.objects.exclude(session_key__in=known).delete()
    run.result(deleted=deleted)


def take_settings(**_: object) -> None:
    """A task works with what operators chose by now."""
    site_settings.refresh()


def follow_settings(**_: object) -> None:
    """In a worker: web processes are told by their feed."""
    task_prerun.connect(take_settings, weak=False)


worker_init.connect(follow_settings, weak=False)
