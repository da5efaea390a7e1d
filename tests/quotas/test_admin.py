from __future__ import annotations

import pytest

from accounts.services import create_operator
from quotas import services
from quotas.models import Multiplier, Price
from quotas.selectors import price_list


@pytest.fixture
def operator(client, db):
    client.force_login(create_operator(username="olga", password="a long enough one"))
    return client


def test_the_ledger_is_read_in_credits_and_not_changed(operator):
    balance = services.open_balance(total_micros=2_500_000, label="Alice")
    page = operator.get("/admin/quotas/balance/").content.decode()
    assert "Alice" in page
    assert "2.5" in page
    assert operator.get("/admin/quotas/balance/add/").status_code == 403
    assert operator.post(f"/admin/quotas/balance/{balance.pk}/delete/").status_code == 403
    assert operator.get("/admin/quotas/entry/").status_code == 200
    assert operator.get("/admin/quotas/hold/").status_code == 200


def test_a_price_saved_there_reaches_the_processes(operator):
    before = Price.objects.order_by("-revision").first()
    fields = dict.fromkeys(("per_call", "input", "cached", "output", "thinking"), 0)
    data = {"pattern": "new-*", "per_call_micros": 3_000_000} | {
        f"{name}_micros_per_million": 0 for name in fields if name != "per_call"
    }
    assert operator.post("/admin/quotas/price/add/", data).status_code == 302
    assert Price.objects.get(pattern="new-*").revision > (before.revision if before else 0)


def test_a_multiplier_saved_there_is_what_a_variant_costs(operator):
    price_before = price_list().of("gemini-2.5-pro", ("search",))
    data = {"feature": "search", "factor": "1.125"}
    assert operator.post("/admin/quotas/multiplier/add/", data).status_code == 302
    assert Multiplier.objects.get(feature="search").revision > 0
    price = price_list().of("gemini-2.5-pro", ("search",))
    assert price.factor == price_before.factor * 9 / 8
    assert "1.125" in operator.get("/admin/quotas/multiplier/").content.decode()
    data = {"feature": "high", "factor": "-1"}
    assert operator.post("/admin/quotas/multiplier/add/", data).status_code == 200
