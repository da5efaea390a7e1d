"""What finished calls say about the credentials they used: use by day, and the errors that rules may be tried on.

Both come from the traces the request log is made of, so the path of a call knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection

from apiproxy.models import UpstreamError
from apiproxy.rules import MATCHED_CHARACTERS
from apiproxy.trace import Attempt, Trace
from apiproxy.wire.types import Fault, Verdict
from credentials.caps import upstream_day
from credentials.selectors.usage import NO_ANSWER, SERVED
from credentials.services.uses import UseKey, add_uses
from gateway.lib.sql import Cursor, insert_many

KEPT_ERRORS = 5000
CLIENT_GONE = 499
# Some reasons are Google's own words (code_assist_tiers.py).
_REASON_CHARACTERS = 80
_TABLE = UpstreamError._meta.db_table
_COLUMNS = (
    "at",
    "request_id",
    "credential_id",
    "provider",
    "model",
    "status",
    "kind",
    "reason",
    "message",
    "judged",
    "fault",
    "rest_s",
)


def write(cursor: Cursor, traces: Sequence[Trace]) -> None:
    """One statement for the use of a batch; two more when something in it failed."""
    add_uses(cursor, uses_of(traces))
    errors = [
        _error_row(trace, attempt, attempt.verdict)
        for trace in traces
        for attempt in trace.attempts
        # The sandbox's credential is nobody's.
        if attempt.credential_id and attempt.verdict and attempt.verdict.fault is not Fault.OK
    ]
    if errors:
        insert_many(cursor, _TABLE, _COLUMNS, errors)
        # Numbers are given out in order, so this needs no counting.
        cursor.execute(
            f"DELETE FROM {_TABLE} WHERE id <= (SELECT MAX(id) FROM {_TABLE}) - %s", [KEPT_ERRORS]
        )


def uses_of(traces: Iterable[Trace]) -> dict[UseKey, list[int]]:
    """(credential, day, model, status) -> [calls, input tokens, output tokens]. The tokens go to the attempt that was
    served last, as a trace holds their sum."""
    uses: dict[UseKey, list[int]] = {}
    for trace in traces:
        day = _day(trace)
        served: list[int] | None = None
        for attempt in trace.attempts:
            if not attempt.credential_id:
                continue  # the sandbox
            status = _status(attempt)
            key = (attempt.credential_id, day, _model(trace, status), status)
            use = uses.setdefault(key, [0, 0, 0])
            use[0] += 1
            if status == SERVED:
                served = use
        if served is not None:
            served[1] += trace.usage.input_tokens
            served[2] += trace.usage.output_tokens + trace.usage.thinking_tokens
    return uses


def _day(trace: Trace) -> date:
    return upstream_day(trace.started_at)


def _status(attempt: Attempt) -> int:
    if attempt.outcome == "ok":
        return SERVED
    if attempt.outcome == "client_gone":
        # What came before the client left was the upstream's work all the same.
        return attempt.status or CLIENT_GONE
    return NO_ANSWER if attempt.status == SERVED else attempt.status


def _model(trace: Trace, status: int) -> str:
    """Clients may make names up without end: those that the upstream does not know are not told apart."""
    return "" if status == 404 else trace.model[:150]


def _error_row(trace: Trace, attempt: Attempt, verdict: Verdict) -> tuple[Any, ...]:
    ended_at = trace.started_at + trace.duration_ms / 1000
    judged = verdict.builtin or verdict
    rests = judged.fault is Fault.COOL_DOWN and judged.until
    return (
        connection.ops.adapt_datetimefield_value(datetime.fromtimestamp(ended_at, UTC)),
        trace.request_id,
        attempt.credential_id,
        attempt.provider,
        trace.model[:200],
        verdict.status,
        verdict.kind,
        storable(verdict.reason)[:_REASON_CHARACTERS],
        storable(verdict.message)[:MATCHED_CHARACTERS],
        judged.fault.value,
        verdict.fault.value,
        max(round(judged.until - ended_at), 0) if rests else 0,
    )


def storable(text: str) -> str:
    """PostgreSQL stores no NUL, and clients may name their fields so."""
    return text.replace("\x00", "")
