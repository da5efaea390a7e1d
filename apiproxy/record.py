"""Finished calls -> rows of the request log; verdicts -> states of credentials. Written behind, in batches."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from django.db import Error, connection
from msgspec import Struct

from accounts.services import mark_keys_used
from apiproxy import tally
from apiproxy.models import RequestLog
from apiproxy.tally import storable
from apiproxy.trace import Trace
from apiproxy.wire import codec
from apiproxy.wire.types import Fault, Verdict
from apiproxy.writer import Writer
from credentials.services import apply_verdicts
from credentials.states import StateMove, event_of
from gateway.lib.errors import AuthenticationFailed, TooManyWrongKeys
from gateway.lib.sql import batch, insert_many

logger = logging.getLogger(__name__)


class Judgement(Struct, frozen=True, eq=False):
    credential_id: int
    model: str
    verdict: Verdict
    request_id: str


_TABLE = RequestLog._meta.db_table
# A key that is over, or not used from where it may be, was not used.
_TURNED_AWAY = frozenset({401, 403})
_COLUMNS = (
    "request_id",
    "at",
    "key_id",
    "owner_id",
    "group_id",
    "credential_id",
    "dialect",
    "action",
    "model",
    "requested_model",
    "features",
    "tariff",
    "answers",
    "broken",
    "provider",
    "stream",
    "status",
    "error_code",
    "error",
    "attempts",
    "dropped",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "thinking_tokens",
    "cost_micros",
    "first_byte_ms",
    "waited_ms",
    "duration_ms",
)

_STRANGERS = frozenset({AuthenticationFailed.code, TooManyWrongKeys.code})
_STRANGERS_A_SECOND = 20
# A body may hold a million things that mean nothing here.
_MOST_NOTES = 100
_UNUSUAL = frozenset({Fault.COOL_DOWN, Fault.DISABLE})


class Recorder:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._second = 0
        self._strangers = 0
        self.unwritten: list[Judgement] = []
        """Verdicts that the database may not have yet, oldest first."""
        self._written: list[Judgement] = []
        """Those it has since the feed last began to read."""

    def finished(self, trace: Trace) -> None:
        if trace.error_code not in _STRANGERS or self._takes_stranger(trace.started_at):
            self._writer.behind(write_requests, trace)

    def _takes_stranger(self, at: float) -> bool:
        """Calls without a valid key are logged too, but nobody may fill the database with them."""
        second = int(at)
        if second != self._second:
            self._second, self._strangers = second, 0
        self._strangers += 1
        return self._strangers <= _STRANGERS_A_SECOND

    def judged(
        self, *, credential_id: int, model: str, verdict: Verdict, request_id: str, recovered: bool
    ) -> None:
        """Remember a verdict that changes a state; others cost nothing."""
        if credential_id and (verdict.fault in _UNUSUAL or recovered):
            judgement = Judgement(credential_id, model, verdict, request_id)
            self.unwritten.append(judgement)
            self._writer.behind(self._write_judgements, judgement)

    def _write_judgements(self, judgements: list[Judgement]) -> None:
        moves = [move for judgement in judgements if (move := _as_move(judgement)) is not None]
        try:
            apply_verdicts(changes=moves)
        finally:
            # Also after a failure: a verdict held for ever would overrule an operator's later word.
            self._written += judgements
            for judgement in judgements:
                with suppress(ValueError):
                    self.unwritten.remove(judgement)

    def reading(self) -> None:
        """The feed begins to read: what is written by now it will see."""
        self._written.clear()

    def unread(self) -> list[Judgement]:
        """Verdicts that what the feed read last may not show, oldest first."""
        # In this order: the writer's thread may move some meanwhile, and one may come twice but none be missed.
        unwritten = tuple(self.unwritten)
        return [*self._written, *unwritten]


def _as_move(judgement: Judgement) -> StateMove | None:
    verdict = judgement.verdict
    event = event_of(verdict.fault.value, verdict.kind)
    if event is None:
        return None
    return StateMove(
        credential_id=judgement.credential_id,
        event=event,
        model=judgement.model,
        reason=verdict.explained,
        until=verdict.until,
        help_url=verdict.help_url,
        request_id=judgement.request_id,
        whole=verdict.whole,
    )


def write_requests(traces: list[Trace]) -> None:
    with batch() as cursor:
        insert_many(cursor, _TABLE, _COLUMNS, [_row(trace) for trace in traces])
        tally.write(cursor, traces)
    if used := {t.key_id for t in traces if t.key_id and t.status not in _TURNED_AWAY}:
        try:
            mark_keys_used(key_ids=used, at=datetime.now(UTC))
        except Error as exc:
            # The batch is committed: whoever heard of a failure would write it once more.
            logger.warning("when %d keys were used last could not be noted: %s", len(used), exc)


def _row(trace: Trace) -> tuple[Any, ...]:
    usage = trace.usage
    return (
        trace.request_id,
        connection.ops.adapt_datetimefield_value(datetime.fromtimestamp(trace.started_at, UTC)),
        trace.key_id,
        trace.owner_id,
        trace.group_id,
        trace.credential_id,
        trace.dialect,
        trace.action,
        trace.model[:200],
        storable(trace.requested_model)[:200],
        ",".join(trace.features)[:200],
        trace.tariff,
        trace.answers,
        trace.broken,
        trace.provider,
        trace.stream,
        trace.status,
        trace.error_code,
        storable(trace.error)[:500],
        codec.encode(trace.attempts_as_data()).decode(),
        codec.encode([storable(note) for note in trace.dropped[:_MOST_NOTES]]).decode(),
        usage.input_tokens,
        usage.cached_tokens,
        usage.output_tokens,
        usage.thinking_tokens,
        trace.cost_micros,
        trace.first_byte_ms,
        trace.waited_ms,
        trace.duration_ms,
    )
