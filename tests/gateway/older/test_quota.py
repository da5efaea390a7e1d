"""GET /auth/quota and POST /auth/query: the older gateways' shapes, without their defects."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.models import ApiKey
from accounts.services import issue_key
from apiproxy.models import RequestLog
from quotas.models import Balance

pytestmark = pytest.mark.django_db
CREDIT = 1_000_000


@pytest.fixture(autouse=True)
def nobody_has_asked():
    cache.clear()


@pytest.fixture
def key():
    row, text = issue_key(quota_micros=1000 * CREDIT, description="Alice")
    used = 333 * CREDIT + CREDIT // 2
    Balance.objects.filter(pk=row.balance_id).update(
        used_micros=used, remaining_micros=1000 * CREDIT - used
    )
    RequestLog.objects.create(
        request_id="req_one",
        at=timezone.now(),
        key_id=row.pk,
        dialect="openai-chat",
        action="generate",
        model="gemini-2.5-pro",
        stream=False,
        status=200,
        cost_micros=used,
        duration_ms=10,
    )
    return row, text


def asked(client, text):
    return client.post("/auth/query", {"api_key": text}, content_type="application/json")


FIGURES = {
    "total_quota": 1000,
    "used_quota": 333.5,
    "remaining_quota": 666.5,
    "model_stats": {"gemini-2.5-pro": 333.5},
}


@pytest.mark.parametrize("way", ["bearer", "header", "query"])
def test_quota(client, key, way):
    _, text = key
    query = f"?api_key={text}" if way == "query" else ""
    headers = {"bearer": {"authorization": f"Bearer {text}"}, "header": {"x-api-key": text}}
    answer = client.get(f"/auth/quota{query}", headers=headers.get(way, {}))
    assert answer.status_code == 200
    assert answer.json() == {"api_key": f"{text[:10]}...", **FIGURES}
    assert answer["cache-control"] == "no-store"


def test_query(client, key):
    row, text = key
    assert asked(client, text).json() == {
        "api_key": f"{text[:10]}...{text[-4:]}",
        **FIGURES,
        "created_at": row.created_at.isoformat(),
        "description": "Alice",
        "usage_percentage": 33.35,
    }


def test_whole_numbers_are_written_as_they_were_then(client):
    _, text = issue_key(quota_micros=5 * CREDIT)
    answer = client.get("/auth/quota", headers={"x-api-key": text})
    assert b'"total_quota":5,"used_quota":0,"remaining_quota":5,"model_stats":{}' in answer.content


def test_without_a_limit(client):
    _, text = issue_key(quota_micros=None)
    facts = asked(client, text).json()
    assert (facts["total_quota"], facts["remaining_quota"]) == (None, None)
    assert facts["usage_percentage"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"is_active": False},
        {"expires_at": timezone.now()},
        {"is_active": False, "revoked_at": timezone.now()},
    ],
    ids=["paused", "expired", "revoked"],
)
def test_who_holds_a_key_that_does_not_work_may_ask(client, key, change):
    row, text = key
    ApiKey.objects.filter(pk=row.pk).update(**change)
    assert client.get("/auth/quota", headers={"x-api-key": text}).status_code == 200


def test_a_key_that_is_used_up_may_ask(client, key):
    row, text = key
    Balance.objects.filter(pk=row.balance_id).update(used_micros=1000 * CREDIT, remaining_micros=0)
    facts = asked(client, text).json()
    assert (facts["remaining_quota"], facts["usage_percentage"]) == (0, 100)


def test_unknown_keys(client, key):
    _, text = key
    wrong = text[:-1] + ("a" if text[-1] != "a" else "b")
    assert client.get("/auth/quota").status_code == 401
    assert client.get("/auth/quota", headers={"x-api-key": wrong}).status_code == 401
    assert asked(client, wrong).status_code == 404
    for body in ("{}", '{"api_key": 7}', '{"api_key": " "}', "[]", "null"):
        answer = client.post("/auth/query", body, content_type="application/json")
        assert answer.status_code == 400, body
        assert answer.json()["detail"]


def test_guessing_is_slow(client, key, settings, django_assert_num_queries):
    settings.WRONG_KEYS_PER_MINUTE = 3
    _, text = key
    for _ in range(3):
        assert asked(client, "sk-" + "x" * 48).status_code == 404
    with django_assert_num_queries(0):
        answer = asked(client, text)
    assert answer.status_code == 429
    assert 1 <= int(answer["retry-after"]) <= 60


def test_failures_do_not_write_a_key_down(client, caplog):
    text = "sk-" + "q" * 48
    client.get(f"/auth/quota?api_key={text}")
    asked(client, text)
    assert text not in caplog.text
