"""Stored responses: what `previous_response_id` and references continue, and what GET and DELETE see.

They belong to the key that made them, rest encrypted, and are gone after the retention.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping, Set
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

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
from gateway.lib.errors import (
    InvalidRequest,
    PreviousResponseNotFound,
    ResponseNotFound,
    Unavailable,
)

logger = logging.getLogger(__name__)

Json = dict[str, Any]
T = TypeVar("T")

_ID = re.compile(r"resp_[0-9a-z]{1,59}")
_LONGEST_NAMED = 64
# More responses than any conversation refers to in one request, each step of an agent being one.
_MOST_AT_ONCE = 1000
# Rows of any size go in one transaction, for which the ledger has to wait on SQLite.
_DELETED_AT_ONCE = 100
# In place of the ids of the items that are needed.
_ALL: set[str] = {"*"}
# Stands in no token.
_BETWEEN = b"\n"
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
        """What the body builds on. Raises PreviousResponseNotFound, ResponseNotFound, InvalidRequest, Unavailable."""
        previous = body.get("previous_response_id")
        wanted = dict(references(body))
        if previous is None and not wanted:
            return Recalled(stores=self.stores)
        if not self.stores:
            raise InvalidRequest(
                "this site stores no responses: send the whole conversation as input",
                param=next(iter(wanted), "previous_response_id"),
            )
        needed: dict[str, set[str]] = {}
        for item_id in wanted.values():
            needed.setdefault(response_of(item_id), set()).add(item_id)
        if isinstance(previous, str):
            needed[previous] = _ALL
        found = await self._load(key_id, needed)
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
        """Raises ResponseNotFound, Unavailable."""
        found = await self._load(key_id, {response_id: _ALL})
        if response_id not in found:
            raise _not_found(response_id)
        return found[response_id]

    async def delete(self, key_id: int, response_id: str) -> None:
        """Raises ResponseNotFound, Unavailable."""
        rows = StoredResponse.objects.filter(pk__in=_ours({response_id}), key_id=key_id)
        deleted, _ = await _asked(rows.delete)
        if not deleted:
            raise _not_found(response_id)

    async def _load(self, key_id: int, needed: Mapping[str, Set[str]]) -> dict[str, Stored]:
        return await _asked(partial(_load, key_id, needed, self._max_bytes))

    def _save(self, key_id: int, kept: Kept) -> None:
        StoredResponse.objects.create(
            response_id=kept.id,
            key_id=key_id,
            sealed=_BETWEEN.join(map(_sealed, (kept.response, codec.encode(kept.input)))),
            expires_at=timezone.now() + self._retention,
        )


async def _asked(question: Callable[[], T]) -> T:
    """Raises Unavailable when the database does not answer."""
    try:
        return await database_sync_to_async(question, thread_sensitive=False)()
    except DatabaseError as exc:
        logger.error("stored responses cannot be reached: %s", exc)
        raise Unavailable(
            "the database of this site does not answer: try again", retry_after_s=5
        ) from exc


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


def _load(key_id: int, needed: Mapping[str, Set[str]], enough_bytes: int) -> dict[str, Stored]:
    """`needed`: the items by response. The first response may be of any size; then no more than `enough_bytes`, and one
    more, are opened.
    """
    ids = _ours(needed)
    rows = StoredResponse.objects.filter(pk__in=ids, key_id=key_id, expires_at__gt=timezone.now())
    found: dict[str, Stored] = {}
    size_bytes = 0
    for row in rows.iterator(chunk_size=1):
        try:
            found[row.pk] = stored = _opened(bytes(row.sealed), needed[row.pk])
        except crypto.SecretUnreadable:
            logger.exception("stored response %s cannot be read", row.pk)
            continue
        size_bytes += stored.size_bytes
        if size_bytes > enough_bytes:
            break
    return found


def _opened(sealed: bytes, needed: Set[str]) -> Stored:
    """The input, which holds the whole conversation before, only where the output has not all that is needed: a client
    that refers to every answer of a long conversation would have it opened once for each.
    """
    response_token, _, input_token = sealed.partition(_BETWEEN)
    text = _unsealed(response_token)
    response = codec.loads(text)
    if needed <= {item["id"] for item in response["output"]}:
        return Stored([], response, len(text))
    given = _unsealed(input_token)
    return Stored(codec.loads(given), response, len(text) + len(given))


def _sealed(text: bytes) -> bytes:
    return crypto.encrypt(text.decode(), settings.ENCRYPTION_KEYS).encode()


def _unsealed(token: bytes) -> str:
    return crypto.decrypt(token.decode(), settings.ENCRYPTION_KEYS)


def delete_expired() -> int:
    expired = StoredResponse.objects.filter(expires_at__lte=timezone.now()).order_by("expires_at")
    deleted = 0
    while ids := list(expired.values_list("pk", flat=True)[:_DELETED_AT_ONCE]):
        deleted += StoredResponse.objects.filter(pk__in=ids).delete()[0]
    return deleted
