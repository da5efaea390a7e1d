"""The worker's side of jobs (gateway/lib/jobs.py)."""

from __future__ import annotations

from celery import shared_task


@shared_task(name="gateway.tasks.run_job")
def run_job(job_id: str) -> None:
    from gateway.lib.jobs import run

    run(job_id)


@shared_task(name="gateway.tasks.resume_jobs")
def resume_jobs() -> int:
    """Jobs whose worker died, or whose message was lost, are taken up again."""
    from gateway.lib.jobs import resume

    return resume()
