"""Upkeep of what the proxy stores: answers, pictures, the request log and its sums."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from gateway.lib.jobs import Run
from gateway.lib.upkeep import upkeep

logger = logging.getLogger(__name__)


@shared_task
@upkeep("Stored responses that are past their time")
def delete_expired_responses(run: Run) -> int:
    from apiproxy.kept import delete_expired

    deleted = delete_expired()
    if deleted:
        logger.info("deleted %d stored responses that are past their time", deleted)
    run.result(deleted=deleted)
    return deleted


@shared_task
@upkeep("Answers kept for an Idempotency-Key that are past their time")
def delete_expired_idempotent_calls(run: Run) -> int:
    from apiproxy.idempotency import delete_expired

    deleted = delete_expired()
    run.result(deleted=deleted)
    return deleted


@shared_task
@upkeep("Stored pictures that are past their time")
def delete_expired_images(run: Run) -> int:
    from apiproxy.gallery import delete_expired

    deleted = delete_expired()
    if deleted:
        logger.info("deleted %d stored pictures that are past their time", deleted)
    run.result(deleted=deleted)
    return deleted


@shared_task
@upkeep("Sums of the request log")
def roll_up(run: Run) -> int:
    """What was logged since the last minute; after an upgrade or a pause, what was missed."""
    from apiproxy.services.rollup import roll_up

    done = roll_up(now=timezone.now(), step=run.step)
    run.result(hours=done.hours, days=done.days, changed=done.cells, hours_left=done.behind_hours)
    return done.cells


@shared_task
@upkeep("Sums of the request log, late rows")
def roll_up_late(run: Run) -> int:
    """Calls that were logged long after they began."""
    from apiproxy.services.rollup import LATE, roll_up

    done = roll_up(now=timezone.now(), again=LATE, step=run.step)
    run.result(hours=done.hours, days=done.days, changed=done.cells, hours_left=done.behind_hours)
    return done.cells


@shared_task
@upkeep("Old requests and old sums of them")
def delete_old_usage(run: Run) -> int:
    from apiproxy.services.retention import delete_old

    deleted = delete_old(now=timezone.now(), step=run.step)
    run.result(requests_deleted=deleted.requests, sums_deleted=deleted.hours)
    return deleted.requests
