from __future__ import annotations

import pytest
from django.db import OperationalError

from apiproxy.models import RequestLog
from apiproxy.record import Recorder, write_requests
from apiproxy.trace import Attempt, Trace
from apiproxy.wire.types import Fault, Usage, Verdict
from apiproxy.writer import _write


@pytest.mark.django_db
def test_a_trace_becomes_a_row():
    trace = Trace(
        request_id="req_1",
        started_at=1_700_000_000.5,
        started=0.0,
        dialect="gemini",
        key_id=7,
        action="generate",
        model="m" * 300,
        stream=True,
        attempts=[
            Attempt(1, "gemini_api", 429, "rate", "rate_limited", 3),
            Attempt(2, "gemini_api", 200, "ok", "", 9),
        ],
        dropped=["logit_bias"],
        usage=Usage(input_tokens=4, output_tokens=3, cached_tokens=2, thinking_tokens=1),
        cost_micros=5,
        first_byte_ms=10,
        duration_ms=20,
    )
    failed = Trace(
        request_id="req_2",
        started_at=0.0,
        started=0.0,
        dialect="gemini",
        error="x" * 900,
        status=401,
    )
    write_requests([trace, failed])
    row, other = RequestLog.objects.order_by("request_id")
    assert (row.key_id, row.credential_id, row.provider) == (7, 2, "gemini_api")
    assert [a["status"] for a in row.attempts] == [429, 200]
    assert row.dropped == ["logit_bias"]
    assert (row.input_tokens, row.output_tokens, row.cached_tokens, row.thinking_tokens) == (
        4,
        3,
        2,
        1,
    )
    assert row.at.timestamp() == 1_700_000_000.5
    assert len(row.model) == 200
    assert (other.status, other.credential_id, len(other.error)) == (401, None, 500)


async def test_nothing_of_prompts_or_answers_is_kept(edge, fake, lent, key):
    fake.script("text", text="planted-answer")
    body = {
        "model": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": "planted-prompt"}],
    }
    answer = await edge.post("/v1/chat/completions", body, key=key.text)
    assert "planted-answer" in answer.body.decode()
    log = await edge.log(answer)
    assert "planted" not in repr(log.__dict__)


async def test_a_row_holds_a_hundred_notes_at_most(edge, lent, key):
    tools = [{"type": f"tool_{number}"} for number in range(300)]
    body = {"model": "gemini-2.5-flash", "input": "Hi", "tools": tools}
    log = await edge.log(await edge.post("/v1/responses", body, key=key.text))
    assert log.status == 200
    assert len(log.dropped) == 100


class Kept:
    def __init__(self):
        self.rows = []

    def behind(self, write, row):
        self.rows.append(row)


def finished(at, error_code):
    return Trace(
        request_id="req", started_at=at, started=0.0, dialect="gemini", error_code=error_code
    )


def test_strangers_cannot_fill_the_log():
    writer = Kept()
    recorder = Recorder(writer)
    for _ in range(500):
        recorder.finished(finished(10.2, "invalid_api_key"))
        recorder.finished(finished(10.2, "upstream_failed"))
    assert [row.error_code for row in writer.rows].count("invalid_api_key") == 20
    assert len(writer.rows) == 520
    recorder.finished(finished(11.0, "invalid_api_key"))
    assert len(writer.rows) == 521


def test_a_verdict_that_could_not_be_written_is_not_held_for_ever(monkeypatch):
    def away(*, changes):
        raise OperationalError("gone")

    monkeypatch.setattr("apiproxy.record.apply_verdicts", away)
    writer = Kept()
    recorder = Recorder(writer)
    verdict = Verdict(fault=Fault.DISABLE, kind="auth", reason="api_key_invalid")
    for request_id in ("req_1", "req_2"):
        recorder.judged(
            credential_id=1, model="m", verdict=verdict, request_id=request_id, recovered=False
        )
    with pytest.raises(OperationalError):
        recorder._write_judgements(writer.rows[:1])
    assert [judgement.request_id for judgement in recorder.unwritten] == ["req_2"]


@pytest.mark.django_db(transaction=True)
def test_a_batch_is_written_once_though_what_follows_fails(monkeypatch, caplog):
    """The writer repeats what raised, and then row by row."""
    asked = []

    def locked(*, key_ids, at):
        asked.append(key_ids)
        raise OperationalError("database is locked")

    monkeypatch.setattr("apiproxy.record.mark_keys_used", locked)
    traces = [
        Trace(request_id=f"req_{n}", started_at=10.0, started=0.0, dialect="gemini", key_id=4)
        for n in range(3)
    ]
    _write(write_requests, traces)
    assert RequestLog.objects.count() == 3
    assert asked == [{4}]
    assert "lost" not in caplog.text
    assert "could not be noted" in caplog.text
