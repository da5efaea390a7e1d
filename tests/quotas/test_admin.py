from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.services import create_operator
from quotas import services


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


def test_prices_are_read_in_credits_and_changed_elsewhere(operator):
    """A row that could be edited would rewrite what was charged by it."""
    price = services.set_price(pattern="new-*", per_call_micros=3_250_000)
    row = services.set_multiplier(feature="search", factor=Decimal("1.125"))
    assert "3.25" in operator.get("/admin/quotas/price/").content.decode()
    assert "1.125" in operator.get("/admin/quotas/multiplier/").content.decode()
    for path in (f"price/{price.pk}", f"multiplier/{row.pk}"):
        assert operator.post(f"/admin/quotas/{path}/delete/").status_code == 403
    assert operator.post("/admin/quotas/price/add/", {"pattern": "x"}).status_code == 403
    assert operator.post("/admin/quotas/multiplier/add/", {"factor": 2}).status_code == 403
