"""Reads. Here stands what other apps ask; the pages and the API of this app take from the modules."""

from credentials.selectors.feed import (
    Changes,
    CredentialSnapshot,
    ModelStateSnapshot,
    labels_of,
    lent_ids,
    snapshot_of,
    spent_ids,
    usable_count,
    usable_rows_since,
)

__all__ = [
    "Changes",
    "CredentialSnapshot",
    "ModelStateSnapshot",
    "labels_of",
    "lent_ids",
    "snapshot_of",
    "spent_ids",
    "usable_count",
    "usable_rows_since",
]
