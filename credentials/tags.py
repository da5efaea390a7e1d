"""Short names by which the pool is sorted."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TAG = re.compile(r"[\w.:/ -]{1,40}")
_MOST = 20


def split(given: Iterable[str]) -> list[str]:
    """Each once, in the order given. Raises ValueError in words."""
    tags = list(dict.fromkeys(tag for one in given if (tag := one.strip())))
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise ValueError(
                f"“{tag}” is no tag: letters, digits, spaces and . : / _ - are, forty at most."
            )
    if len(tags) > _MOST:
        raise ValueError(f"{_MOST} tags are the most one can have.")
    return tags
