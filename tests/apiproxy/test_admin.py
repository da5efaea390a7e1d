from __future__ import annotations

import pytest

from accounts.services import create_operator
from apiproxy.models import CatalogueModel, RequestLog
from quotas import ledger, services
from quotas.ledger import Close, Reserve
from quotas.terms import Account


@pytest.fixture
def operator(client, database):
    client.force_login(create_operator(username="olga", password="a long enough one"))
    return client


@pytest.fixture
def request_log():
    return RequestLog.objects.create(
        request_id="req_1",
        at="2026-01-01T00:00:00Z",
        dialect="openai-chat",
        action="generate",
        model="gemini-2.5-flash",
        stream=True,
        status=200,
        attempts=[
            {
                "credential": 4,
                "provider": "gemini_api",
                "status": 429,
                "outcome": "quota",
                "reason": "<b>daily</b>",
                "ms": 3,
            }
        ],
        cost_micros=2_000_000,
        duration_ms=5,
    )


def test_a_request_is_found_by_its_id_with_attempts_and_receipt(operator, request_log):
    balance = services.open_balance(total_micros=10_000_000)
    ledger.book([Reserve("req_1", (Account(balance.pk),), 2_000_000)], [], holder_id="h")
    ledger.book([], [Close("req_1", 2_000_000, "answered")], holder_id="h")
    found = operator.get("/admin/apiproxy/requestlog/?q=req_1").content.decode()
    assert "gemini-2.5-flash" in found
    page = operator.get(f"/admin/apiproxy/requestlog/{request_log.pk}/change/").content.decode()
    assert "settled: reserved 2, settled 2, refunded 0 (answered)" in page
    assert "quota" in page
    assert "<b>daily</b>" not in page


def test_the_log_is_only_read(operator, request_log):
    assert operator.get("/admin/apiproxy/requestlog/add/").status_code == 403
    url = f"/admin/apiproxy/requestlog/{request_log.pk}/delete/"
    assert operator.post(url).status_code == 403


def test_a_model_is_edited_there(operator):
    assert "sandbox-echo" in operator.get("/admin/apiproxy/cataloguemodel/").content.decode()
    model = CatalogueModel.objects.get(name="sandbox-echo")
    page = operator.get(f"/admin/apiproxy/cataloguemodel/{model.pk}/change/")
    assert page.status_code == 200
