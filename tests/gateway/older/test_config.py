"""The older gateways' settings routes, with the password of the panel."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from gateway.lib import site_settings

GET, SAVE = "/config/get", "/config/save"


@pytest.fixture(autouse=True)
def _afterwards_as_before():
    yield
    site_settings.apply({})


@pytest.fixture
def panel(db, settings):
    settings.PANEL_PASSWORD = "let-me-in"
    return APIClient(headers={"authorization": "Bearer let-me-in"})


def save(panel, **config):
    return panel.post(SAVE, {"config": config}, format="json")


def test_the_settings_have_their_older_names(panel):
    told = panel.get(GET).data
    config = told["config"]
    assert config["retry_429_max_retries"] == 5
    assert config["auto_ban_enabled"] is False
    assert config["auto_ban_error_codes"] == [403]
    assert config["compatibility_mode_enabled"] is False
    assert config["code_assist_endpoint"].startswith("https://")
    assert (config["password"], config["api_password"], config["panel_password"]) == ("", "", "")
    assert {"host", "port", "code_assist_endpoint"} <= set(told["env_locked"])
    assert "retry_429_enabled" not in told["env_locked"]


def test_what_is_saved_is_in_force(panel):
    answer = save(panel, retry_429_max_retries=2, auto_ban_enabled=True, retry_429_interval="0.5")
    assert answer.status_code == 200
    assert answer.data["saved_config"] == {
        "retry_429_max_retries": 2,
        "auto_ban_enabled": True,
        "retry_429_interval": 0.5,
    }
    assert panel.get(GET).data["config"]["retry_429_max_retries"] == 2


def test_a_form_that_sends_everything_back_changes_nothing(panel):
    save(panel, proxy="http://me:word@proxy.example:3128", retry_429_max_retries=2)
    shown = panel.get(GET).data["config"]
    assert shown["proxy"] == "http://proxy.example:3128"
    version = site_settings.stored()
    site_settings.apply(version[1])
    assert save(panel, **shown).status_code == 200
    assert site_settings.stored() == version


def test_what_the_environment_fixes_is_passed_over(panel, settings):
    settings.FIXED_BY_ENVIRONMENT = frozenset({"AUTO_BAN", "PANEL_PASSWORD"})
    assert {"auto_ban_enabled", "panel_password"} <= set(panel.get(GET).data["env_locked"])
    answer = save(panel, auto_ban_enabled=True, host="0.0.0.0", panel_password="x", unknown=1)
    assert answer.data["saved_config"] == {}


def test_wrong_values_and_passwords_are_refused(panel):
    assert save(panel, retry_429_max_retries=-1).data.keys() == {"retry_429_max_retries"}
    assert save(panel, auto_ban_enabled="perhaps").data.keys() == {"auto_ban_enabled"}
    assert save(panel, retry_429_max_retries="many").status_code == 400
    refused = save(panel, api_password="new")
    assert refused.status_code == 400
    assert "environment" in refused.data["detail"]
    assert panel.post(SAVE, {"config": 1}, format="json").status_code == 400


def test_strangers_see_nothing(db):
    assert APIClient().get(GET).status_code == 401
    assert APIClient().post(SAVE, {"config": {}}, format="json").status_code == 401
