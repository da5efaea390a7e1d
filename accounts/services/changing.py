"""How every change of a key begins and ends."""

from __future__ import annotations

from accounts.models import ApiKey
from gateway.lib.errors import Conflict
from gateway.lib.models import bump


def begin(key: ApiKey) -> int:
    """Take the topic's counter, then read the key anew: whoever holds the counter changes keys alone, in every process, so what is
    decided by the row still holds when it is written. Raises Conflict for a deleted key. Inside a transaction."""
    revision = bump(ApiKey.TOPIC)
    key.refresh_from_db()
    if key.deleted_at is not None:
        raise Conflict("This key was deleted: issue a new one.")
    return revision


def store(key: ApiKey, revision: int, *fields: str) -> ApiKey:
    """These fields alone: whatever else happened to the row meanwhile stays."""
    key.revision = revision
    values = {name: getattr(key, name) for name in fields}
    ApiKey.objects.filter(pk=key.pk).update(revision=revision, **values)
    return key
