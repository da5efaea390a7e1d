"""`Idempotency-Key`: the same key and request within 24 hours is one call, answered once and charged once.

A call with the header has a row (models.IdempotentCall) that goes through these steps, each committed before the next:

1. *claim*: INSERT … ON CONFLICT DO NOTHING. Of any number of repeats at the same time, in any process, exactly one gets the row
   and asks the upstream; the others are told 409 with Retry-After while it runs.
2. the reservation, the upstream's answer.
3. *end*, in the transaction of the booking and before the last byte goes out (quotas.ledger.Close.also):
   - the answer is complete: the row becomes ANSWERED and holds the answer, if it is not too long, and the charge is booked;
   - something was charged without a complete answer (broken off half way, or its client left): ANSWERED, without an answer;
   - nothing was charged: the row is deleted, and the key is as good as new.

Why no order of events charges twice: a charge for a call with a key is booked only in a transaction that finds the row with that
call's own request id. A process killed before step 3 is committed leaves a RUNNING row and no charge; its reservation goes back
with the sweep, and the next repeat takes the row over, which puts its own request id there. If the first process was not dead
but only slow, its step 3 no longer finds its id and books a refund: its client has the answer for nothing, and the repeat pays.
A process killed after step 3 has been paid, and repeats get what is kept. Rows are deleted only in step 3 of a call that costs
nothing, and after their 24 hours. A booking that the database did not take at once is repeated whole, row and charge together;
a commit whose confirmation was lost finds the same row and an entry that exists, and changes neither.

Only complete answers of status 200 are kept: whole ones and streams, sealed, byte for byte, up to IDEMPOTENCY_KEEP_BYTES. A repeat
of what was charged but not kept is told 409 with the id of the request that has the receipt. Calls that fail before they are
admitted, and those that cost nothing by nature (counting tokens), have no row; repeats that are answered from here pass no limit
and count nowhere but in the request log. Calls without the header cost nothing for any of this.

The official SDKs for Python and Node send the header only where it is given to them, and with it the same body on every retry;
but a form has another boundary each time, which is therefore left out of the digest. They repeat 409, after Retry-After, unless
`x-should-retry: false` says that it is no use.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from msgspec import Struct

from apiproxy.models import IdempotentCall
from apiproxy.request import Headers, Request
from apiproxy.writer import Writer
from gateway.lib import crypto
from gateway.lib.errors import (
    AnswerNotKept,
    CallRunning,
    IdempotencyKeyReused,
    InvalidRequest,
)
from gateway.lib.sql import ROWS_A_STATEMENT, Cursor, batch
from quotas.ledger import Booked, Close
from quotas.models import Holder

LIFETIME = timedelta(hours=24)

_HEADER = b"idempotency-key"
_MOST_CHARACTERS = 255
_BOUNDARY = re.compile(rb'boundary="?([^";]+)"?')
# Longer things are hashed and sealed beside the loop.
_LONG_BYTES = 64 * 1024
_RETRY_AFTER_S = 2.0
_DELETED_AT_ONCE = 200

_TABLE = IdempotentCall._meta.db_table
_COLUMNS = (
    "key_id",
    "digest",
    "body_digest",
    "request_id",
    "state",
    "holder_id",
    "content_type",
    "created_at",
    "expires_at",
)
_RUNNING = IdempotentCall.State.RUNNING.value
_ANSWERED = IdempotentCall.State.ANSWERED.value


class Claim(Struct, frozen=True):
    """One call's hold on its key. Digests are hexadecimal SHA-256."""

    key_id: int
    digest: str
    body_digest: str
    request_id: str


class Standing(Enum):
    """What was found under a key."""

    FREE = 1
    """It is this call's now."""
    RUNNING = 2
    KEPT = 3
    NOT_KEPT = 4
    OTHER_BODY = 5


class Found(Struct, frozen=True):
    standing: Standing
    request_id: str = ""
    content_type: str = ""
    sealed: bytes = b""


class Kept(Struct, frozen=True):
    """An answer as it will be, or was, given. `sealed` None: it was too long."""

    content_type: str
    sealed: bytes | None


class Replay(Struct, frozen=True):
    request_id: str
    content_type: str
    body: bytes

    def headers(self) -> Headers:
        headers = [
            (b"content-type", self.content_type.encode()),
            (b"idempotent-replayed", b"true"),
            (b"x-original-request-id", self.request_id.encode()),
        ]
        if self.content_type.startswith("text/event-stream"):
            headers.append((b"cache-control", b"no-cache"))
        return headers


class Recording:
    """An answer as it goes out, as long as it is not too long to be kept."""

    def __init__(self, most_bytes: int) -> None:
        self._left_bytes = most_bytes
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        self._left_bytes -= len(piece)
        if self._left_bytes >= 0:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    async def sealed(self, headers: Headers) -> Kept:
        content_type = next(value for name, value in headers if name == b"content-type").decode()
        if self._left_bytes < 0:
            return Kept(content_type, None)
        body = b"".join(self._pieces)
        if len(body) > _LONG_BYTES:
            return Kept(content_type, await asyncio.to_thread(_sealed, body))
        return Kept(content_type, _sealed(body))


_IS_FREE = Found(Standing.FREE)


class Idempotency:
    def __init__(self, *, writer: Writer, holder_id: str, lease_s: float, keep_bytes: int) -> None:
        """`lease_s`: a process that gave no sign of life for so long is dead."""
        self._writer = writer
        self._holder_id = holder_id
        self._lease = timedelta(seconds=lease_s)
        self._keep_bytes = keep_bytes

    async def begin(self, request: Request, key_id: int, body: bytes) -> Claim | Replay | None:
        """None: the call has no key. A Claim has to be ended, by `end` or with its booking. Raises InvalidRequest,
        IdempotencyKeyReused, CallRunning, AnswerNotKept, LedgerUnavailable."""
        key = request.headers.get(_HEADER)
        if key is None:
            return None
        claim = Claim(key_id, _digest_of_key(key), await _digest(request, body), request.id)
        asked = self._writer.ask(self._decide, claim)
        try:
            found: Found = await asyncio.shield(asked)
        except BaseException:
            # The client left, or the database's word was lost on the way: whatever is claimed by then is given back.
            asked.add_done_callback(partial(self._give_back, claim))
            raise
        return claim if found.standing is Standing.FREE else await _told(found)

    def _give_back(self, claim: Claim, asked: asyncio.Future[Found]) -> None:
        if asked.exception() is not None or asked.result() is _IS_FREE:
            self.end(claim)

    def end(self, claim: Claim, kept: Kept | None = None) -> asyncio.Future[Booked]:
        """Of a call for which nothing was reserved."""
        return self._writer.close(Close(claim.request_id, 0, "", ending(claim, kept, False)))

    def recording(self) -> Recording:
        return Recording(self._keep_bytes)

    # Below: in the writer's thread.

    def _decide(self, claims: list[Claim]) -> list[Found]:
        free = self._insert(claims)
        return [_IS_FREE if one.request_id in free else self._look(one) for one in claims]

    def _insert(self, claims: list[Claim]) -> set[str]:
        """The request ids of those that were first."""
        now = datetime.now(UTC)
        adapt = connection.ops.adapt_datetimefield_value
        stamps = (adapt(now), adapt(now + LIFETIME))
        free: set[str] = set()
        one = f"({', '.join(['%s'] * len(_COLUMNS))})"
        # In the order of the index, so that two processes cannot wait for each other.
        ordered = sorted(claims, key=lambda claim: (claim.key_id, claim.digest))
        with batch() as cursor:
            for start in range(0, len(ordered), ROWS_A_STATEMENT):
                some = ordered[start : start + ROWS_A_STATEMENT]
                cursor.execute(
                    f"INSERT INTO {_TABLE} ({', '.join(_COLUMNS)}) "
                    f"VALUES {', '.join([one] * len(some))} "
                    "ON CONFLICT (key_id, digest) DO NOTHING RETURNING request_id",
                    [
                        value
                        for claim in some
                        for value in (
                            claim.key_id,
                            claim.digest,
                            claim.body_digest,
                            claim.request_id,
                            _RUNNING,
                            self._holder_id,
                            "",
                            *stamps,
                        )
                    ],
                )
                free.update(row[0] for row in cursor.fetchall())
        return free

    def _look(self, claim: Claim) -> Found:
        """What stands there already; taken over where it is past its time or its process died."""
        # One row a transaction: whoever held several could be waited for in a circle.
        with transaction.atomic():
            rows = IdempotentCall.objects.filter(key_id=claim.key_id, digest=claim.digest)
            row = rows.select_for_update().first()
            if row is None:
                # Freed a moment ago; the repeat that is asked for finds out.
                return Found(Standing.RUNNING)
            now = timezone.now()
            runs = row.state == _RUNNING
            if row.expires_at <= now or (runs and not self._alive(row.holder_id)):
                rows.update(
                    body_digest=claim.body_digest,
                    request_id=claim.request_id,
                    state=_RUNNING,
                    holder_id=self._holder_id,
                    content_type="",
                    sealed=None,
                    created_at=now,
                    expires_at=now + LIFETIME,
                )
                return _IS_FREE
        if row.body_digest != claim.body_digest:
            return Found(Standing.OTHER_BODY, row.request_id)
        if runs:
            return Found(Standing.RUNNING, row.request_id)
        if row.sealed is None:
            return Found(Standing.NOT_KEPT, row.request_id)
        return Found(Standing.KEPT, row.request_id, row.content_type, bytes(row.sealed))

    def _alive(self, holder_id: str) -> bool:
        return (
            holder_id == self._holder_id
            or Holder.objects.filter(pk=holder_id, beat_at__gte=Now() - self._lease).exists()
        )


def ending(claim: Claim, kept: Kept | None, charged: bool) -> Callable[[Cursor], bool]:
    """What is written with the call's booking; see the head of this file. `kept`: of an answer that is complete."""

    def write(cursor: Cursor) -> bool:
        same = "WHERE key_id = %s AND digest = %s AND request_id = %s RETURNING request_id"
        row = (claim.key_id, claim.digest, claim.request_id)
        if kept is not None or charged:
            cursor.execute(
                f"UPDATE {_TABLE} SET state = %s, content_type = %s, sealed = %s {same}",
                (
                    _ANSWERED,
                    kept.content_type[:100] if kept else "",
                    kept.sealed if kept else None,
                    *row,
                ),
            )
        else:
            cursor.execute(f"DELETE FROM {_TABLE} {same}", row)
        return cursor.fetchone() is not None

    return write


def _digest_of_key(key: bytes) -> str:
    text = key.strip()
    if not 0 < len(text) <= _MOST_CHARACTERS or not all(0x20 <= byte <= 0x7E for byte in text):
        raise InvalidRequest(
            f"Idempotency-Key must have 1 to {_MOST_CHARACTERS} printable ASCII characters",
            param="Idempotency-Key",
        )
    return hashlib.sha256(text).hexdigest()


async def _digest(request: Request, body: bytes) -> str:
    if len(body) > _LONG_BYTES:
        return await asyncio.to_thread(_digest_of, request, body)
    return _digest_of(request, body)


def _digest_of(request: Request, body: bytes) -> str:
    """Of all that decides about the answer: method, path, query but for the key, and body."""
    content_type = request.headers.get(b"content-type", b"")
    if content_type.startswith(b"multipart/") and (found := _BOUNDARY.search(content_type)):
        body = body.replace(found[1], b"")
    query = sorted((name, value) for name, value in request.query.items() if name != "key")
    head = repr((request.method, request.path, query)).encode()
    return hashlib.sha256(head + b"\n" + body).hexdigest()


async def _told(found: Found) -> Replay:
    match found.standing:
        case Standing.OTHER_BODY:
            raise IdempotencyKeyReused(
                f"this Idempotency-Key was used for another request ({found.request_id}): "
                "use a new key for each request",
                param="Idempotency-Key",
            )
        case Standing.RUNNING:
            which = f" ({found.request_id})" if found.request_id else ""
            raise CallRunning(
                f"the call with this Idempotency-Key{which} still runs: ask again when it is over",
                retry_after_s=_RETRY_AFTER_S,
            )
        case Standing.KEPT:
            try:
                body = await database_sync_to_async(_opened, thread_sensitive=False)(found.sealed)
            except crypto.SecretUnreadable:
                raise _not_kept(found.request_id) from None
            return Replay(found.request_id, found.content_type, body)
        case _:
            raise _not_kept(found.request_id)


def _not_kept(request_id: str) -> AnswerNotKept:
    error = AnswerNotKept(
        f"the call with this Idempotency-Key was made and charged as {request_id}, and its answer was not kept: "
        "use a new key to make it again"
    )
    error.headers.append((b"x-should-retry", b"false"))
    error.headers.append((b"x-original-request-id", request_id.encode()))
    return error


def _sealed(body: bytes) -> bytes:
    # Streams repeat the same words in every event.
    return crypto.seal(zlib.compress(body, 1), settings.ENCRYPTION_KEYS)


def _opened(sealed: bytes) -> bytes:
    return zlib.decompress(crypto.unseal(sealed, settings.ENCRYPTION_KEYS))


def delete_expired() -> int:
    """Rows that are past their time; how many there were."""
    expired = IdempotentCall.objects.filter(expires_at__lte=timezone.now()).order_by("expires_at")
    deleted = 0
    while ids := list(expired.values_list("pk", flat=True)[:_DELETED_AT_ONCE]):
        # Asked again: one of them may have been taken over meanwhile.
        rows = IdempotentCall.objects.filter(pk__in=ids, expires_at__lte=timezone.now())
        deleted += rows.delete()[0]
    return deleted
