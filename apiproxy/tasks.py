"""Upkeep of what the proxy stores."""

from __future__ import annotations

import logging

from celery import shared_task

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
@upkeep("Stored pictures that are past their time")
def delete_expired_images(run: Run) -> int:
    from apiproxy.gallery import delete_expired

    deleted = delete_expired()
    if deleted:
        logger.info("deleted %d stored pictures that are past their time", deleted)
    run.result(deleted=deleted)
    return deleted
