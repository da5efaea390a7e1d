from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from gateway.lib import site_settings
from gateway.lib.audit import AuditEntry
from gateway.lib.site_settings import SettingsVersion

SETTINGS = "/api/settings"
HISTORY = "/api/settings/history"
UNDO = "/api/settings/undo"
RETRIES = "RETRY_429_MAX_RETRIES"


@pytest.fixture(autouse=True)
def _afterwards_as_before():
    yield
    site_settings.apply({})


@pytest.fixture
def alice(db, django_user_model):
    client = APIClient()
    client.force_login(django_user_model.objects.create_superuser("alice"))
    return client


def change(client, **body):
    return client.patch(SETTINGS, body, format="json")


def one(client, name=RETRIES):
    return next(one for one in client.get(SETTINGS).data["settings"] if one["name"] == name)


def test_every_setting_is_told_with_what_it_may_be(alice):
    told = alice.get(SETTINGS).data
    assert told["version"] == 0
    assert one(alice) == {
        "name": RETRIES,
        "section": "retries",
        "type": "integer",
        "words": "How many others.",
        "unit": "",
        "least": 0,
        "most": 100,
        "choices": [],
        "value": 5,
        "default": 5,
        "changed": False,
        "locked": False,
    }


def test_a_change_tells_what_differs_and_is_audited(alice):
    answer = change(alice, values={RETRIES: 2}, version=0)
    assert answer.status_code == 200
    assert answer.data["changes"] == [{"name": RETRIES, "before": None, "after": 2}]
    assert one(alice)["value"] == 2
    entry = AuditEntry.objects.get(action="settings.change")
    assert (entry.actor, entry.before, entry.after) == ("alice", {RETRIES: None}, {RETRIES: 2})


def test_wrong_values_are_told_by_name_and_nothing_is_saved(alice):
    answer = change(alice, values={RETRIES: -1, "AUTO_BAN": True, "NOPE": 1})
    assert answer.status_code == 400
    assert answer.data.keys() == {RETRIES, "NOPE"}
    assert not SettingsVersion.objects.exists()
    assert not AuditEntry.objects.filter(action="settings.change").exists()


@pytest.mark.parametrize(
    "body", [{}, {"values": {}}, {"values": []}, {"values": None}, {"values": {RETRIES: 1}, "version": "x"}]
)  # fmt: skip
def test_malformed_bodies_are_refused(alice, body):
    assert change(alice, **body).status_code == 400


def test_a_dry_run_saves_nothing(alice):
    answer = change(alice, values={RETRIES: 2}, dry_run=True)
    assert answer.data["changes"] == [{"name": RETRIES, "before": None, "after": 2}]
    assert one(alice)["value"] == 5
    assert not AuditEntry.objects.filter(action="settings.change").exists()


def test_somebody_elses_change_is_not_overwritten_unseen(alice):
    change(alice, values={RETRIES: 2})
    assert change(alice, values={RETRIES: 3}, version=0).status_code == 409


def test_history_and_undoing(alice):
    version = change(alice, values={RETRIES: 2}).data["version"]
    back = alice.post(UNDO, {}, format="json")
    assert back.data["changes"] == [{"name": RETRIES, "before": 2, "after": None}]
    newest, first = alice.get(HISTORY).data["results"]
    assert (newest["undoes"], newest["undone"]) == (version, False)
    assert (first["id"], first["actor"], first["undone"]) == (version, "alice", True)
    assert first["changes"] == [{"name": RETRIES, "before": None, "after": 2}]
    assert alice.post(UNDO, {"version": 99}, format="json").status_code == 400
    assert AuditEntry.objects.filter(action="settings.undo").count() == 1


def test_a_proxys_password_is_in_no_answer_and_no_log(alice):
    answers = [change(alice, values={"PROXY": "http://me:s3cret-word@proxy.example:3128"})]
    answers += [alice.get(SETTINGS), alice.get(HISTORY), alice.get("/api/audit")]
    assert not [answer for answer in answers if b"s3cret-word" in answer.content]
    assert one(alice, "PROXY")["value"] == "http://proxy.example:3128"


def test_only_operators(db, django_user_model):
    client = APIClient()
    assert client.get(SETTINGS).status_code == 401
    client.force_login(django_user_model.objects.create_user("stella", role="steward"))
    for ask in (client.get, client.patch):
        assert ask(SETTINGS).status_code == 403
    assert client.get(HISTORY).status_code == 403
    assert client.post(UNDO).status_code == 403
