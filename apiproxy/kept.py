"""Stored responses: what `previous_response_id` and references continue, and what GET and DELETE see.

They belong to the key that made them, rest encrypted, and are gone after the retention.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import Error as DatabaseError
from django.utils import timezone

from apiproxy.dialects.openai_responses_request import Recalled
from apiproxy.dialects.openai_responses_stored import Stored, references, response_of
from apiproxy.models import StoredResponse
from apiproxy.wire import codec
from apiproxy.wire.types import Kept
from gateway.lib import crypto
from gateway.lib.errors import InvalidRequest, PreviousResponseNotFound, ResponseNotFound

logger = logging.getLogger(__name__)

Json = dict[str, Any]

_ID = re.compile(r"resp_[0-9a-z]{1,59}")
_LONGEST_NAMED = 64
# More responses than any conversation refers to in one request.
_MOST_AT_ONCE = 200
_GONE = "it was never stored, has expired, was deleted, or belongs to another key"


class KeptResponses:
    def __init__(self, *, retention_s: float, max_bytes: int) -> None:
        """`retention_s` 0: nothing is stored. `max_bytes`: the most that a request may build on."""
        self.stores = retention_s > 0
        self._retention = timedelta(seconds=retention_s)
        self._max_bytes = max_bytes

    async def save(self, key_id: int, kept: Kept) -> bool:
        """False, with a line in the log, when the database would not have it: the answer goes out all the same."""
        try:
            await database_sync_to_async(self._save, thread_sensitive=False)(key_id, kept)
        except DatabaseError:
            logger.exception("response %s could not be stored", kept.id)
            return False
        return True

    async def recall(self, key_id: int, body: Json) -> Recalled:
        """What the body builds on. Raises PreviousResponseNotFound, ResponseNotFound, InvalidRequest."""
        previous = body.get("previous_response_id")
        wanted = dict(references(body))
        if previous is None and not wanted:
            return Recalled(stores=self.stores)
        if not self.stores:
            raise InvalidRequest(
                "this site stores no responses: send the whole conversation as input",
                param=next(iter(wanted), "previous_response_id"),
            )
        ids = {response_of(item_id) for item_id in wanted.values()}
        if isinstance(previous, str):
            ids.add(previous)
        found = await self._load(key_id, ids)
        if sum(stored.size_bytes for stored in found.values()) > self._max_bytes:
            raise InvalidRequest(
                f"what this request builds on is larger than {self._max_bytes:,} bytes: begin anew, or send "
                "the part of the conversation that matters as input",
                param="input" if previous is None else "previous_response_id",
            )
        return Recalled(
            stores=True,
            history=_history(found, previous) if isinstance(previous, str) else [],
            items=_items(found, wanted),
            size_bytes=sum(stored.size_bytes for stored in found.values()),
        )

    async def find(self, key_id: int, response_id: str) -> Stored:
        """Raises ResponseNotFound."""
        found = await self._load(key_id, {response_id})
        if response_id not in found:
            raise _not_found(response_id)
        return found[response_id]

    async def delete(self, key_id: int, response_id: str) -> None:
        """Raises ResponseNotFound."""
        rows = StoredResponse.objects.filter(pk__in=_ours({response_id}), key_id=key_id)
        deleted, _ = await database_sync_to_async(rows.delete, thread_sensitive=False)()
        if not deleted:
            raise _not_found(response_id)

    async def _load(self, key_id: int, ids: Collection[str]) -> dict[str, Stored]:
        load = database_sync_to_async(_load, thread_sensitive=False)
        return await load(key_id, _ours(ids), self._max_bytes)

    def _save(self, key_id: int, kept: Kept) -> None:
        text = b'{"input":%b,"response":%b}' % (codec.encode(kept.input), kept.response)
        sealed = crypto.encrypt(text.decode(), settings.ENCRYPTION_KEYS)
        StoredResponse.objects.create(
            response_id=kept.id,
            key_id=key_id,
            sealed=sealed.encode(),
            expires_at=timezone.now() + self._retention,
        )


def _history(found: dict[str, Stored], previous: str) -> list[Json]:
    stored = found.get(previous)
    if stored is None:
        raise PreviousResponseNotFound(
            f"there is no response {previous[:_LONGEST_NAMED]!r} to continue: {_GONE}",
            param="previous_response_id",
        )
    return stored.history()


def _items(found: dict[str, Stored], wanted: dict[str, str]) -> dict[str, Json]:
    items: dict[str, Json] = {}
    for stored in found.values():
        items |= stored.items()
    for at, item_id in wanted.items():
        if item_id not in items:
            raise ResponseNotFound(
                f"there is no item {item_id[:_LONGEST_NAMED]!r} to refer to: {_GONE}", param=at
            )
    return items


def _not_found(response_id: str) -> ResponseNotFound:
    return ResponseNotFound(f"there is no response {response_id[:_LONGEST_NAMED]!r}: {_GONE}")


def _ours(ids: Collection[str]) -> list[str]:
    """Those that may name a response; a database chokes on what some clients write."""
    return [name for name in ids if _ID.fullmatch(name)][:_MOST_AT_ONCE]


def _load(key_id: int, ids: list[str], enough_bytes: int) -> dict[str, Stored]:
    """The first one may be of any size; then no more than `enough_bytes`, and one more, are opened."""
    rows = StoredResponse.objects.filter(pk__in=ids, key_id=key_id, expires_at__gt=timezone.now())
    found: dict[str, Stored] = {}
    size_bytes = 0
    for row in rows.iterator(chunk_size=1):
        try:
            text = crypto.decrypt(bytes(row.sealed).decode(), settings.ENCRYPTION_KEYS)
        except crypto.SecretUnreadable:
            logger.exception("stored response %s cannot be read", row.pk)
            continue
        value = codec.loads(text)
        found[row.pk] = Stored(value["input"], value["response"], len(text))
        size_bytes += len(text)
        if size_bytes > enough_bytes:
            break
    return found


def delete_expired() -> int:
    deleted, _ = StoredResponse.objects.filter(expires_at__lte=timezone.now()).delete()
    return deleted
