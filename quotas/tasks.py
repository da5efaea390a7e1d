"""Upkeep of the ledger."""

from __future__ import annotations

import logging

from celery import shared_task
from django.conf import settings

from gateway.lib.credits import to_text
from gateway.lib.jobs import Run
from gateway.lib.upkeep import upkeep

logger = logging.getLogger(__name__)


@shared_task
@upkeep("Reservations of processes that died")
def sweep(run: Run) -> int:
    from quotas.services import sweep

    swept = sweep(lease_s=settings.HOLDER_LEASE_S)
    if swept:
        logger.warning("refunded %d reservations of processes that died", swept)
    run.result(refunded=swept)
    return swept


@shared_task
@upkeep("Credits whose time is over")
def expire_lots(run: Run) -> int:
    from quotas.services import expire_lots

    balances, micros = expire_lots()
    run.result(balances=balances, credits=to_text(micros))
    return balances


@shared_task
@upkeep("Proof of the ledger")
def prove(run: Run) -> int:
    from quotas.selectors import prove

    checked, wrong = prove()
    for discrepancy in wrong:
        logger.error("the ledger does not add up: %s", discrepancy)
    logger.info("ledger proof: %d balances, %d discrepancies", checked, len(wrong))
    run.result(balances=checked, discrepancies=len(wrong))
    return len(wrong)
