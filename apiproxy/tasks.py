"""Upkeep of what the proxy stores."""

from __future__ import annotations

import logging

from celery import shared_task

logger = logging.getLogger(__name__)


@shared_task
def delete_expired_responses() -> int:
    from apiproxy.kept import delete_expired

    deleted = delete_expired()
    if deleted:
        logger.info("deleted %d stored responses that are past their time", deleted)
    return deleted


@shared_task
def delete_expired_images() -> int:
    from apiproxy.gallery import delete_expired

    deleted = delete_expired()
    if deleted:
        logger.info("deleted %d stored pictures that are past their time", deleted)
    return deleted
