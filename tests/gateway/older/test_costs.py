"""/auth/models/costs as the older gateways' scripts use it."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from gateway.lib.audit import AuditEntry
from quotas.models import Multiplier, Price

COSTS = "/auth/models/costs"


@pytest.fixture
def panel(db, settings):
    settings.PANEL_PASSWORD = "let-me-in"
    Price.objects.all().delete()
    Multiplier.objects.all().delete()
    for pattern, credits in (("*", 1), ("*flash*", 2), ("*pro*", 10)):
        Price.objects.create(pattern=pattern, per_call_micros=credits * 1_000_000)
    Multiplier.objects.create(feature="anti_truncation", factor=2)
    return APIClient(headers={"authorization": "Bearer let-me-in"})


def cost(panel, name):
    return APIClient().get(f"/auth/models/{name}/cost").json()


def test_what_models_cost(panel):
    assert panel.get(COSTS).json() == {
        "default_cost": 1,
        "model_costs": {"*flash*": 2, "*pro*": 10},
    }


def test_a_cost_is_set_and_taken_back(panel):
    body = {"model_name": "gemini-3-pro-preview", "cost": 15}
    answer = panel.post(COSTS, body, format="json")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["model_name"], told["cost"]) == ("gemini-3-pro-preview", 15)
    assert told["message"]
    assert panel.get(COSTS).json()["model_costs"]["gemini-3-pro-preview"] == 15
    assert AuditEntry.objects.filter(action="prices.set").get().after["per_call"] == "15"
    gone = panel.delete(f"{COSTS}/gemini-3-pro-preview")
    assert (gone.status_code, gone.json()["model_name"]) == (200, "gemini-3-pro-preview")
    assert cost(panel, "gemini-3-pro-preview")["cost"] == 10
    assert panel.delete(f"{COSTS}/gemini-3-pro-preview").status_code == 404
    assert panel.delete(f"{COSTS}/never-there").status_code == 404


def test_a_fraction_is_what_was_written(panel):
    panel.post(COSTS, {"model_name": "m", "cost": 0.1}, format="json")
    assert Price.objects.get(pattern="m").per_call_micros == 100_000
    assert cost(panel, "m")["cost"] == 0.1


@pytest.mark.parametrize(
    ("name", "credits", "is_default"),
    [
        ("gemini-2.5-pro", 10, False),
        ("流式抗截断/gemini-2.5-pro", 20, False),
        ("假流式/gemini-2.5-flash", 2, False),
        ("gemma-4-31b-it", 1, True),
        ("流式抗截断/gemma-4-31b-it", 2, True),
        ("a-name-that-is-not-offered", 1, True),
    ],
)
def test_one_models_cost_needs_no_login(panel, name, credits, is_default):
    assert cost(panel, name) == {"model_name": name, "cost": credits, "is_default": is_default}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model_name": "m"},
        {"cost": 1},
        {"model_name": "", "cost": 1},
        {"model_name": "m", "cost": "1"},
        {"model_name": "m", "cost": -1},
        {"model_name": "m", "cost": True},
        {"model_name": "m", "cost": 1e-9},
        {"model_name": "m", "cost": 1e300},
        {"model_name": "x" * 201, "cost": 1},
        {"model_name": 7, "cost": 1},
        [],
    ],
)
def test_what_is_no_cost_is_refused(panel, body):
    answer = panel.post(COSTS, body, format="json")
    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert Price.objects.count() == 3


def test_no_number_is_refused(panel):
    for text in ("NaN", "Infinity", "-Infinity"):
        body = f'{{"model_name": "m", "cost": {text}}}'
        assert panel.post(COSTS, body, content_type="application/json").status_code == 400


def test_the_default_stays(panel):
    assert panel.delete(f"{COSTS}/*").status_code == 400
    panel.post(COSTS, {"model_name": "*", "cost": 3}, format="json")
    assert panel.get(COSTS).json()["default_cost"] == 3


def test_strangers_may_not(panel):
    for method in ("get", "post"):
        assert getattr(APIClient(), method)(COSTS).status_code in (401, 403)
    assert APIClient().delete(f"{COSTS}/*pro*").status_code in (401, 403)
