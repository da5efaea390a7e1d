"""Lent upstream credentials: where they stand, who lent them, how much they were used."""

from credentials.models.chore import Budget, Chore
from credentials.models.contributor import Contributor
from credentials.models.credential import (
    CREDENTIAL_STATES,
    MODEL_STATES,
    TOPIC,
    Credential,
    ModelState,
    Provider,
    Revocation,
    StateChange,
    epoch,
    moment,
)
from credentials.models.flow import Flow
from credentials.models.intake import Import, ImportItem
from credentials.models.notice import Notice
from credentials.models.use import Allowance, DailyUse, Draining, ProbeClaim, QuotaReading

__all__ = [
    "CREDENTIAL_STATES",
    "MODEL_STATES",
    "TOPIC",
    "Allowance",
    "Budget",
    "Chore",
    "Contributor",
    "Credential",
    "DailyUse",
    "Draining",
    "Flow",
    "Import",
    "ImportItem",
    "ModelState",
    "Notice",
    "ProbeClaim",
    "Provider",
    "QuotaReading",
    "Revocation",
    "StateChange",
    "epoch",
    "moment",
]
