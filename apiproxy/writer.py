"""Group commit: one thread with one database connection writes whatever waits, in one transaction.

While a batch is being committed the next one gathers, so the busier the process the more calls share a commit. The
loop hands over what one of its turns produced with a single wake-up, and gets all outcomes back with one. Rows that
nobody waits for are handed over a few times a second.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import InterfaceError, OperationalError, close_old_connections, connection
from msgspec import Struct

from gateway.lib.errors import LedgerUnavailable
from quotas import ledger
from quotas.ledger import Booked, Close, Reserve

logger = logging.getLogger(__name__)

_BEHIND_S = 0.2
_RETRY_PAUSES_S = (0.05, 0.2, 0.5, 1.0, 2.0)
_STOP = object()
_NOT_YET = Booked(accepted=False)
# What the database says when it is away, locked or full. Anything else would be said again the next time.
_PASSING = (OperationalError, InterfaceError)


class _Reserving(Struct, eq=False):
    item: Reserve
    future: asyncio.Future[Booked]


class _Closing(Struct, eq=False):
    item: Close
    future: asyncio.Future[Booked]
    tries: int = 0


class _Asking(Struct, eq=False):
    decide: Callable[[list[Any]], list[Any]]
    item: Any
    future: asyncio.Future[Any]


class _Behind(Struct, eq=False):
    """Rows written behind: nobody waits for them. `write` gets every row that waits for it."""

    write: Callable[[list[Any]], None]
    row: Any


class Writer:
    def __init__(self, holder_id: str) -> None:
        self._holder_id = holder_id
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._gathered: list[Any] = []
        self._behind: list[_Behind] = []
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Everything that waits is written first."""
        if self._loop is None:
            return
        self._hand_over_behind()
        self._hand_over()
        self._queue.put(_STOP)
        await asyncio.to_thread(self._thread.join)

    def reserve(self, item: Reserve) -> asyncio.Future[Booked]:
        """The future fails with LedgerUnavailable when the database does; then nothing is reserved."""
        future: asyncio.Future[Booked] = self._running_loop.create_future()
        self._gather(_Reserving(item, future))
        return future

    def close(self, item: Close) -> asyncio.Future[Booked]:
        """Never fails. A close that the database does not take at once comes out as not accepted, so that an answer in
        hand need not wait, and is repeated until the database has it.
        """
        future: asyncio.Future[Booked] = self._running_loop.create_future()
        self._gather(_Closing(item, future))
        return future

    def ask(self, decide: Callable[[list[Any]], list[Any]], item: Any) -> asyncio.Future[Any]:
        """What the database decides. `decide` gets every item that waits for it, in one call, and gives their outcomes in
        the same order. The future fails with LedgerUnavailable when the database does; then nothing was decided.
        """
        future: asyncio.Future[Any] = self._running_loop.create_future()
        self._gather(_Asking(decide, item, future))
        return future

    def behind(self, write: Callable[[list[Any]], None], row: Any) -> None:
        """Some time soon; lost if the process is killed before."""
        if not self._behind:
            self._running_loop.call_later(_BEHIND_S, self._hand_over_behind)
        self._behind.append(_Behind(write, row))

    @property
    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("the writer is not started")
        return self._loop

    def _gather(self, item: Any) -> None:
        if not self._gathered:
            self._running_loop.call_soon(self._hand_over)
        self._gathered.append(item)

    def _hand_over(self) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._queue.put(gathered)

    def _hand_over_behind(self) -> None:
        if self._behind:
            behind, self._behind = self._behind, []
            self._queue.put(behind)

    # Below: the writer's own thread.

    def _run(self) -> None:
        stopping = False
        late: list[_Closing] = []
        while not stopping or late:
            items, stopping = self._wait(stopping, late)
            reserves = [item for item in items if type(item) is _Reserving]
            closes = late + [item for item in items if type(item) is _Closing]
            late = []
            if reserves or closes:
                late = self._book(reserves, closes)
            asked = [item for item in items if type(item) is _Asking]
            if asked:
                self._decide(asked)
            behind = [item for item in items if type(item) is _Behind]
            if behind:
                _write_behind(behind)
            if stopping and late and late[0].tries > len(_RETRY_PAUSES_S):
                logger.error("%d reservations could not be closed; the sweep will", len(late))
                break
        connection.close()

    def _wait(self, stopping: bool, late: list[_Closing]) -> tuple[list[Any], bool]:
        items: list[Any] = []
        timeout: float | None = None
        if late:
            timeout = _RETRY_PAUSES_S[min(late[0].tries, len(_RETRY_PAUSES_S)) - 1]
        elif stopping:
            return items, True
        try:
            got = self._queue.get(timeout=timeout)
            while True:
                if got is _STOP:
                    stopping = True
                else:
                    items.extend(got)
                got = self._queue.get_nowait()
        except queue.Empty:
            return items, stopping

    def _book(self, reserves: list[_Reserving], closes: list[_Closing]) -> list[_Closing]:
        """The closes that have to be tried again."""
        try:
            reserved, closed = ledger.book(
                [r.item for r in reserves], [c.item for c in closes], holder_id=self._holder_id
            )
        except Exception as exc:  # noqa: BLE001 - the edge where rows are flushed
            _reconnect()
            return self._book_failed(reserves, closes, exc)
        self._answer(_resolve, [r.future for r in reserves], reserved)
        self._answer(_resolve, [c.future for c in closes], closed)
        return []

    def _book_failed(
        self, reserves: list[_Reserving], closes: list[_Closing], exc: Exception
    ) -> list[_Closing]:
        """A database that is away is asked again; one item that can never be booked must not hold up the others."""
        if isinstance(exc, _PASSING):
            logger.error("the ledger cannot be written: %s", exc)
            late = closes
        elif len(reserves) + len(closes) > 1:
            for reserving in reserves:
                self._book([reserving], [])
            return [late for closing in closes for late in self._book([], [closing])]
        else:
            logger.error("this cannot be booked: %s", [*reserves, *closes], exc_info=exc)
            late = []
        self._answer(_fail_all, [r.future for r in reserves])
        self._answer(_resolve, [c.future for c in closes], [_NOT_YET] * len(closes))
        for closing in late:
            closing.tries += 1
        return late

    def _decide(self, asked: list[_Asking]) -> None:
        together: dict[Callable[[list[Any]], list[Any]], list[_Asking]] = {}
        for asking in asked:
            together.setdefault(asking.decide, []).append(asking)
        for decide, some in together.items():
            try:
                outcomes = decide([asking.item for asking in some])
            except Exception as exc:  # noqa: BLE001 - the edge where rows are flushed
                _reconnect()
                if len(some) > 1 and not isinstance(exc, _PASSING):
                    for asking in some:
                        self._decide([asking])
                    continue
                logger.error("nothing can be decided: %s", exc)
                self._answer(_fail_all, [asking.future for asking in some])
            else:
                self._answer(_resolve, [asking.future for asking in some], outcomes)

    def _answer(self, function: Callable[..., None], futures: Sequence[Any], *args: Any) -> None:
        if futures:
            try:
                self._running_loop.call_soon_threadsafe(function, futures, *args)
            except RuntimeError:
                # The loop has ended: nobody waits any more.
                logger.debug("outcomes of %d bookings came after the loop ended", len(futures))


def _resolve(futures: Sequence[asyncio.Future[Any]], outcomes: Sequence[Any]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if not future.done():
            future.set_result(outcome)


def _fail_all(futures: Sequence[asyncio.Future[Any]]) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(
                LedgerUnavailable(
                    "the database of this site does not answer: nothing was charged, try again",
                    retry_after_s=5,
                )
            )


def _write_behind(items: list[_Behind]) -> None:
    rows: dict[Callable[[list[Any]], None], list[Any]] = {}
    for item in items:
        rows.setdefault(item.write, []).append(item.row)
    for write, some in rows.items():
        _write(write, some)


def _write(write: Callable[[list[Any]], None], rows: list[Any]) -> None:
    for pause_s in (*_RETRY_PAUSES_S[:2], None):
        try:
            write(rows)
            return
        except Exception as exc:  # noqa: BLE001 - the edge where rows are flushed
            _reconnect()
            if isinstance(exc, _PASSING) and pause_s is not None:
                time.sleep(pause_s)
                continue
            failure = exc
            break
    if len(rows) > 1 and not isinstance(failure, _PASSING):
        for row in rows:
            _write(write, [row])
        return
    logger.error("%d rows of %s are lost", len(rows), write.__name__, exc_info=failure)


def _reconnect() -> None:
    """Drop a connection that may be broken, so that the next statement opens another."""
    if not connection.in_atomic_block:
        connection.close()
    close_old_connections()
