"""A request id explains itself, and the operator's commands and service routes answer."""

from __future__ import annotations

import pytest

from tests.e2e.dialects import GEMINI, MODEL, OPENAI, ask, both_dialects, only_sqlite
from tests.e2e.gateway import MICROS


@both_dialects
@pytest.mark.parametrize("stream", [False, True])
def test_a_request_id_shows_attempts_tokens_and_the_receipt(gateway, google, http, dialect, stream):
    first, second = gateway.lend("gemini_api", "gemini_api")
    google.script("error", credential=first.name, error="quota_minute")
    google.script("text", credential=second.name, text="four char words here", cached_tokens=1)
    response = ask(http, dialect, gateway.key(), "the prompt is private", stream=stream)
    found = gateway.explained(response.headers["x-request-id"])
    assert [
        (attempt["credential"], attempt["status"], attempt["outcome"])
        for attempt in found["attempts"]
    ] == [(first.id, 429, "rate"), (second.id, 200, "ok")]
    assert (found["status"], found["model"], found["stream"]) == (200, MODEL, stream)
    assert found["dialect"] == ("gemini" if dialect is GEMINI else "openai-chat")
    assert found["input_tokens"] > 0
    assert found["output_tokens"] > 0
    assert found["cached_tokens"] == 1
    assert found["cost_micros"] == 2 * MICROS
    assert 0 <= found["first_byte_ms"] <= found["duration_ms"]
    receipt = found["receipt"]
    assert receipt["state"] == "settled"
    assert (receipt["reserved_micros"], receipt["settled_micros"]) == (2 * MICROS, 2 * MICROS)
    assert "private" not in str(found)


def test_a_refused_call_has_its_row_too(gateway, http):
    gateway.lend("gemini_api")
    response = ask(http, OPENAI, gateway.key(1))
    assert response.status_code == 429
    found = gateway.explained(response.headers["x-request-id"])
    assert (found["status"], found["error_code"]) == (429, "insufficient_quota")
    assert found["attempts"] == []
    assert found["receipt"] is None


def test_a_refund_says_why(gateway, google, http):
    gateway.lend("gemini_api")
    google.script("error", error="bad_request")
    response = ask(http, OPENAI, gateway.key())
    found = gateway.explained(response.headers["x-request-id"])
    assert found["receipt"]["state"] == "refunded"
    assert found["receipt"]["refunded_micros"] == 2 * MICROS
    assert "upstream_refused" in found["receipt"]["reason"]


@only_sqlite
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
def test_only_operators_ask(gateway, http, headers):
    assert http.get("/api/requests/req_0", headers=headers).status_code == 401


@only_sqlite
def test_an_api_key_is_no_operator(gateway, http):
    headers = {"authorization": f"Bearer {gateway.key()}"}
    assert http.get("/api/requests/req_0", headers=headers).status_code == 401


def test_health_ready_and_doctor(gateway, http):
    gateway.lend("gemini_api")
    assert http.get("/health").json() == {"status": "ok"}
    ready = http.get("/ready")
    assert ready.status_code == 200, ready.text
    assert ready.json()["usable_credentials"] == 1
    doctor = gateway.manage("doctor", "--json")
    assert doctor["ok"] is True, doctor


def test_the_sandbox_answers_without_any_credential(gateway, http):
    gateway.lend()
    key = gateway.key()
    answer = ask(http, OPENAI, key, model="sandbox-echo")
    assert answer.status_code == 200
    assert "hello" in OPENAI.text(answer.json())
    assert gateway.balance(key)["used"] == 1
