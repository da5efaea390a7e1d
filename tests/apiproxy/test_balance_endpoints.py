"""GET /v1/key and the billing probes: figures that agree with the ledger, for keys that are used up as well."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from accounts.models import ApiKey
from apiproxy import runtime
from quotas.models import Balance, Limits

CREDIT = 1_000_000
SUBSCRIPTION = "/v1/dashboard/billing/subscription"
USAGE = "/v1/dashboard/billing/usage"


@sync_to_async
def change(model, pk, **fields):
    model.objects.filter(pk=pk).update(**fields)


@sync_to_async
def limit(key, **fields):
    ApiKey.objects.filter(pk=key.row.pk).update(limits=Limits.objects.create(**fields))


async def test_a_key_says_what_is_left(edge, lent, key):
    await edge.chat(key.text)
    answer = await edge.get("/v1/key", key=key.text)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    facts = answer.json
    assert facts["key"] == key.row.masked
    assert key.text not in answer.body.decode()
    assert (facts["name"], facts["state"]) == ("Alice", "active")
    assert facts["balance"] == {
        "unit": "credits",
        "total": "100",
        "used": "2",
        "reserved": "0",
        "left": "98",
    }
    data = facts["data"]
    assert (data["label"], data["usage"], data["limit"], data["limit_remaining"]) == (
        "Alice",
        2,
        100,
        98,
    )
    assert data["rate_limit"] == {"requests": -1, "interval": "60s"}


async def test_its_limits_and_what_they_leave(edge, key):
    await limit(
        key,
        day_micros=1_500_000,
        rpm=7,
        allowed_models=["gemini-*"],
        time_zone="Asia/Shanghai",
    )
    facts = (await edge.get("/v1/key", key=key.text)).json
    day = next(one for one in facts["limits"] if one["period"] == "day")
    assert (day["of"], day["limit"], day["left"], day["time_zone"]) == (
        "key",
        "1.5",
        "1.5",
        "Asia/Shanghai",
    )
    assert day["resets_at"].endswith("T16:00:00Z")
    assert facts["balance"]["left"] == "1.5"
    assert facts["data"]["limit_remaining"] == 1.5
    assert facts["data"]["rate_limit"]["requests"] == 7
    assert facts["rate_limits"][0] | {"used": 0} == {
        "of": "key",
        "counts": "requests",
        "period": "minute",
        "limit": 7,
        "used": 0,
        "left": 7,
        "resets_at": None,
        "time_zone": None,
    }
    assert facts["allowed"]["models"] == [{"of": "key", "names": ["gemini-*"]}]


async def test_a_key_that_is_used_up_may_look(edge, lent, key):
    await change(Balance, key.balance_id, used_micros=100 * CREDIT, remaining_micros=0)
    assert (await edge.chat(key.text)).status == 429
    for path in ("/v1/key", SUBSCRIPTION, USAGE):
        assert (await edge.get(path, key=key.text)).status == 200
    facts = (await edge.get("/v1/key", key=key.text)).json
    assert (facts["state"], facts["balance"]["left"]) == ("exhausted", "0")


async def test_the_billing_probes_agree(edge, lent, key):
    await edge.chat(key.text)
    for prefix in ("/v1", ""):
        plan = (await edge.get(f"{prefix}/dashboard/billing/subscription", key=key.text)).json
        assert (plan["object"], plan["has_payment_method"]) == ("billing_subscription", True)
        assert plan["hard_limit_usd"] == plan["soft_limit_usd"] == 100
        assert plan["system_hard_limit_usd"] == 100
        used = (await edge.get(f"{prefix}/dashboard/billing/usage", key=key.text)).json
        assert used["total_usage"] == 200
        assert plan["hard_limit_usd"] - used["total_usage"] / 100 == 98


async def test_the_limit_told_to_clients_is_what_can_be_spent_by_the_tightest(edge, key):
    await limit(key, day_micros=3 * CREDIT)
    assert (await edge.get(SUBSCRIPTION, key=key.text)).json["hard_limit_usd"] == 3


async def test_without_a_limit_clients_are_told_the_number_they_know(edge, key):
    await change(Balance, key.balance_id, open_ended=True)
    plan = (await edge.get(SUBSCRIPTION, key=key.text)).json
    assert plan["hard_limit_usd"] == 100_000_000
    facts = (await edge.get("/v1/key", key=key.text)).json
    assert (facts["balance"]["total"], facts["balance"]["left"]) == (None, None)
    assert (facts["data"]["limit"], facts["data"]["limit_remaining"]) == (None, None)


async def test_when_it_ends(edge, key):
    assert (await edge.get(SUBSCRIPTION, key=key.text)).json["access_until"] == 0
    until = timezone.now() + timedelta(days=3)
    await change(ApiKey, key.row.pk, expires_at=until)
    assert (await edge.get(SUBSCRIPTION, key=key.text)).json["access_until"] == int(
        until.timestamp()
    )


async def test_the_usage_of_some_days(edge, lent, key):
    await edge.log(await edge.chat(key.text))
    today = timezone.now().date()
    tomorrow = today + timedelta(days=1)
    found = await edge.get(USAGE, key=key.text, query=f"start_date={today}&end_date={tomorrow}")
    assert found.json["total_usage"] == 200
    (day,) = found.json["daily_costs"]
    assert day["line_items"] == [{"name": "gemini-2.5-flash", "cost": 200}]
    before = today - timedelta(days=3)
    found = await edge.get(USAGE, key=key.text, query=f"start_date={before}&end_date={today}")
    assert (found.json["total_usage"], found.json["daily_costs"]) == (0, [])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("start_date=yesterday", "start_date"),
        ("end_date=2026-02-31", "end_date"),
        ("start_date=2026-02-01&end_date=2026-02-01", "start_date"),
        ("start_date=2020-01-01&end_date=2026-01-01", "start_date"),
        ("end_date=0001-01-01", "end_date"),
        ("start_date=9999-12-31", "start_date"),
    ],
)
async def test_odd_dates_are_refused_in_words(edge, key, query, field):
    answer = await edge.get(USAGE, key=key.text, query=query)
    assert answer.status == 400
    assert answer.json["error"]["param"] == field


@pytest.mark.parametrize("path", ["/v1/key", SUBSCRIPTION, USAGE, "/dashboard/billing/usage"])
async def test_who_has_no_key_is_told_so_in_openais_shape(edge, key, path):
    for headers in ({}, {"authorization": "Bearer sk-" + "x" * 48}):
        answer = await edge.get(path, headers=headers)
        assert answer.status == 401
        assert answer.json["error"]["code"] == "invalid_api_key"
    posted = await edge.post(path, {}, key=key.text)
    assert posted.status == 405


async def test_the_sites_own_password_has_no_limit(edge, settings, database):
    await runtime.stop()
    settings.API_PASSWORD = "the-password-of-the-site"
    await runtime.start()
    facts = (await edge.get("/v1/key", key="the-password-of-the-site")).json
    assert (facts["balance"]["left"], facts["data"]["limit"]) == (None, None)
    plan = (await edge.get(SUBSCRIPTION, key="the-password-of-the-site")).json
    assert plan["hard_limit_usd"] == 100_000_000
    used = (await edge.get(USAGE, key="the-password-of-the-site")).json
    assert used["total_usage"] == 0
