"""Reads of the catalogue, the request log and the sums of it."""

from apiproxy.selectors.changes import (
    FOLLOWED,
    Changes,
    catalogue,
    changes_since,
    listed_models,
    rules,
)
from apiproxy.selectors.requests import explained, last_requests
from apiproxy.selectors.usage import usage_of_key

__all__ = [
    "FOLLOWED",
    "Changes",
    "catalogue",
    "changes_since",
    "explained",
    "last_requests",
    "listed_models",
    "rules",
    "usage_of_key",
]
