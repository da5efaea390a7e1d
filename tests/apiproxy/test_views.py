from __future__ import annotations

import pytest

from apiproxy.models import RequestLog
from credentials.models import Credential
from quotas import ledger, services
from quotas.ledger import Close, Reserve
from quotas.terms import Account


@pytest.fixture
def operator(settings):
    settings.PANEL_PASSWORD = "panel"
    return {"Authorization": "Bearer panel"}


def test_a_living_process_says_so(client):
    assert client.get("/health").json() == {"status": "ok"}


@pytest.mark.django_db
def test_ready_without_any_credential_lent(client):
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


def test_not_ready_when_every_credential_lent_is_out(client, lent):
    assert client.get("/ready").json()["usable_credentials"] == 2
    Credential.objects.update(state="expired")
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["credentials"]) == (503, "failing")


@pytest.mark.django_db
def test_not_ready_without_its_broker(client, monkeypatch):
    monkeypatch.setattr("gateway.lib.broker.answers", lambda: False)
    assert client.get("/ready").status_code == 503


def test_the_models_on_offer_are_public(client, database):
    offered = {m["id"]: m for m in client.get("/api/models").json()}
    assert offered["gemini-2.5-pro"]["price_credits"] == "10.000000"
    assert offered["sandbox-echo"]["providers"] == ["sandbox"]


@pytest.mark.django_db(transaction=True)
def test_a_request_id_explains_itself_to_operators(client, operator):
    balance = services.open_balance(total_micros=10)
    ledger.book([Reserve("req_1", (Account(balance.pk),), 4)], [], holder_id="h")
    ledger.book([], [Close("req_1", 0, "failed: upstream_failed")], holder_id="h")
    RequestLog.objects.create(
        request_id="req_1",
        at="2026-01-01T00:00:00Z",
        dialect="openai-chat",
        action="generate",
        model="gemini-2.5-flash",
        stream=False,
        status=502,
        error_code="upstream_failed",
        attempts=[
            {
                "credential": 1,
                "provider": "gemini_api",
                "status": 500,
                "outcome": "server",
                "reason": "server_error",
                "ms": 3,
            }
        ],
        duration_ms=5,
    )
    found = client.get("/api/requests/req_1", headers=operator).json()
    assert found["attempts"][0]["outcome"] == "server"
    assert found["receipt"] == {
        "state": "refunded",
        "reserved_micros": 4,
        "settled_micros": 0,
        "refunded_micros": 4,
        "reason": "failed: upstream_failed",
    }
    assert client.get("/api/requests/req_2", headers=operator).status_code == 404


@pytest.mark.django_db
def test_others_learn_nothing_of_requests(client, operator):
    assert client.get("/api/requests/req_1").status_code in (401, 403)
    assert client.get(
        "/api/requests/req_1", headers={"Authorization": "Bearer no"}
    ).status_code in (401, 403)
