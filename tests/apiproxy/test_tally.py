"""What is written of finished calls: use by day, errors for rules."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from asgiref.sync import sync_to_async

from apiproxy import tally
from apiproxy.models import RequestLog, UpstreamError
from apiproxy.providers import PROVIDERS
from apiproxy.record import write_requests
from apiproxy.tally import uses_of
from apiproxy.trace import Attempt, Trace
from apiproxy.wire import codec
from apiproxy.wire.types import Answer, Fault, Usage, Verdict
from credentials.selectors import usage
from gateway.lib.sql import batch
from tests.apiproxy.conftest import API_KEYS

AT = 1_700_000_000.0  # 14 November 2023, in California too
DAY = date(2023, 11, 14)
RATE = Verdict(
    fault=Fault.COOL_DOWN,
    kind="rate",
    reason="rate_limited",
    message="slow down",
    status=429,
    until=AT + 40,
)


def traced(*attempts, **fields):
    wanted = {
        "request_id": "req",
        "started_at": AT,
        "started": 0.0,
        "dialect": "gemini",
        "model": "m",
    }
    return Trace(attempts=list(attempts), **wanted | fields)


def attempt(credential_id, status, outcome, verdict=None):
    return Attempt(credential_id, "gemini_api", status, outcome, "", 1, verdict)


def test_every_attempt_counts_and_tokens_go_to_the_one_that_was_served():
    usage = Usage(input_tokens=10, output_tokens=3, thinking_tokens=4)
    trace = traced(
        attempt(1, 429, "rate"), attempt(2, 500, "server"), attempt(2, 200, "ok"), usage=usage
    )
    assert uses_of([trace, trace]) == {
        (1, DAY, "m", 429): [2, 0, 0],
        (2, DAY, "m", 500): [2, 0, 0],
        (2, DAY, "m", 200): [2, 20, 14],
    }


@pytest.mark.parametrize(
    ("status", "outcome", "counted"),
    [
        (200, "ok", 200),
        (200, "server", 0),  # an answer without content, or one that broke off
        (0, "network", 0),
        (200, "client_gone", 200),
        (0, "client_gone", 499),
        (403, "banned", 403),
    ],
)
def test_the_status_that_is_counted(status, outcome, counted):
    [(_, _, _, found)] = uses_of([traced(attempt(1, status, outcome))])
    assert found == counted


def test_the_sandbox_is_nobodys_use():
    assert uses_of([traced(attempt(0, 200, "ok"))]) == {}


def test_made_up_models_make_no_rows_of_their_own():
    traces = [traced(attempt(1, 404, "model_missing"), model=f"made-up-{n}") for n in range(9)]
    assert uses_of(traces) == {(1, DAY, "", 404): [9, 0, 0]}


@pytest.mark.django_db
def test_a_failed_attempt_is_kept_as_it_was_judged_and_as_it_was_ruled():
    ruled = Verdict(
        fault=Fault.DISABLE,
        kind="rate",
        reason="rate_limited",
        message="slow down",
        status=429,
        builtin=RATE,
        rule="rule 3",
    )
    write_requests(
        [traced(attempt(1, 429, "rate", ruled), attempt(2, 200, "ok", Verdict(Fault.OK)))]
    )
    row = UpstreamError.objects.get()
    assert (row.credential_id, row.status, row.kind, row.reason) == (1, 429, "rate", "rate_limited")
    assert (row.judged, row.fault, row.rest_s, row.message) == (
        "cool_down",
        "disable",
        40,
        "slow down",
    )
    assert (row.request_id, row.provider, row.model) == ("req", "gemini_api", "m")


@pytest.mark.django_db
def test_a_reason_of_googles_own_that_is_too_long_is_cut():
    long = msgspec.structs.replace(RATE, reason="x\0" + "y" * 200)
    write_requests([traced(attempt(1, 403, "licence", long))])
    assert UpstreamError.objects.get().reason == "x" + "y" * 79


@pytest.mark.django_db
def test_a_client_that_left_is_no_error():
    write_requests([traced(attempt(1, 0, "client_gone"))])
    assert not UpstreamError.objects.exists()


@pytest.mark.django_db
def test_what_the_sandbox_plays_is_nobodys_error():
    write_requests([traced(attempt(0, 429, "rate", RATE))])
    assert not UpstreamError.objects.exists()


@pytest.mark.django_db
def test_only_the_newest_errors_are_kept(monkeypatch):
    monkeypatch.setattr(tally, "KEPT_ERRORS", 10)
    for n in range(1, 7):
        with batch() as cursor:
            tally.write(cursor, [traced(*[attempt(n, 429, "rate", RATE)] * 4)])
    kept = UpstreamError.objects.order_by("id").values_list("credential_id", flat=True)
    assert list(kept) == [4, 4, 5, 5, 5, 5, 6, 6, 6, 6]


async def test_a_call_leaves_its_use_and_its_errors(edge, fake, lent, key):
    fake.script("error", error="quota_minute", credential=API_KEYS[0])
    for _ in range(3):
        await edge.log(await edge.chat(key.text))

    def read():
        return (
            usage.today(lent),
            usage.errors_by_status(lent[0]),
            list(UpstreamError.objects.values_list("kind", "judged", "fault")),
            RequestLog.objects.count(),
        )

    today, errors, rows, calls = await sync_to_async(read)()
    assert today[lent[1]].served == calls == 3
    assert today[lent[1]].output_tokens > 0
    assert (today[lent[0]].failed, errors) == (1, {429: 1})
    assert rows == [("rate", "cool_down", "cool_down")]


@pytest.mark.django_db
def test_what_an_upstream_quotes_is_kept_without_secrets():
    planted = (API_KEYS[0], "ya29.a0AfH6planted-token", "1//0planted-refresh-token")
    body = {
        "error": {
            "code": 403,
            "status": "PERMISSION_DENIED",
            "message": f"Not with {' or '.join(planted)} in projects/planted-project-1234.",
        }
    }
    answer = Answer(403, {}, codec.encode(body), AT)
    for name in ("gemini_api", "code_assist"):
        verdict = PROVIDERS[name].classify(answer)
        with batch() as cursor:
            tally.write(cursor, [traced(attempt(1, 403, verdict.kind, verdict))])
    for message in UpstreamError.objects.values_list("message", flat=True):
        assert message
        assert not [secret for secret in planted if secret in message]
