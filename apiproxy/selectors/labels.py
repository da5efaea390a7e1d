"""What tables call the subjects of the sums."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.selectors import names_of
from apiproxy.sums import CREDENTIAL, GROUP, KEY, USER
from credentials.selectors import labels_of


def labels(axis: str, subjects: Sequence[str]) -> dict[str, str]:
    """One query at the most. Who is gone has none; models and dialects are their own names."""
    ids = {int(subject) for subject in subjects if subject.isdigit()}
    found: dict[int, str] = {}
    if axis in (KEY, USER, GROUP):
        found = names_of(axis, ids)
    elif axis == CREDENTIAL:
        found = labels_of(ids)
    return {str(pk): name for pk, name in found.items()}
