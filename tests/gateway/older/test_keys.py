"""The older gateways' /auth/keys, with the shapes of reference 6.8."""

from __future__ import annotations

import json

import pytest

from accounts import keys, services
from accounts.models import ApiKey, User
from gateway.lib.audit import AuditEntry

CREDIT = 1_000_000
PASSWORD = "the-panel-password"
SHAPE = {"api_key", "total_quota", "used_quota", "remaining_quota", "created_at", "description"}


@pytest.fixture
def ask(client, db, settings):
    """ask("post", path, {...}) with the panel password."""
    settings.PANEL_PASSWORD = PASSWORD

    def ask(method, path, body=None):
        headers = {"authorization": f"Bearer {PASSWORD}"}
        if method != "post":
            return getattr(client, method)(path, headers=headers)
        sent = body if isinstance(body, str) else json.dumps(body)
        return client.post(path, sent, content_type="application/json", headers=headers)

    return ask


def test_strangers_and_members_get_nothing(client, db, settings):
    settings.PANEL_PASSWORD = PASSWORD
    wrong = {"authorization": "Bearer guess"}
    for headers in ({}, wrong):
        assert client.get("/auth/keys", headers=headers).status_code in (401, 403)
        assert client.post("/auth/keys", headers=headers).status_code in (401, 403)
        assert client.delete("/auth/keys/x", headers=headers).status_code in (401, 403)
    client.force_login(User.objects.create_user("bob"))
    assert client.get("/auth/keys").status_code == 403


def test_a_key_is_made_and_told_once(ask):
    answer = ask("post", "/auth/keys", {"total_quota": 50, "description": "script"})
    made = answer.json()
    row = ApiKey.objects.get()
    assert answer.status_code == 200
    assert set(made) == SHAPE
    assert keys.matches(made["api_key"], row.digest)
    assert (made["total_quota"], made["used_quota"], made["remaining_quota"]) == (50, 0, 50)
    assert made["description"] == "script"
    assert made["created_at"] == row.created_at.isoformat()
    entry = AuditEntry.objects.get(action="keys.issue")
    assert entry.actor == "panel-password"
    assert made["api_key"][15:] not in repr(entry.__dict__)


def test_without_a_quota_it_is_a_thousand(ask):
    assert ask("post", "/auth/keys", {}).json()["total_quota"] == 1000
    assert ask("post", "/auth/keys", {"total_quota": 0.5}).json()["total_quota"] == 0.5


@pytest.mark.parametrize(
    "body",
    [
        {"total_quota": 0},
        {"total_quota": -5},
        {"total_quota": "many"},
        {"total_quota": True},
        {"total_quota": []},
        {"total_quota": 1e30},
        {"total_quota": "NaN"},
        {"total_quota": 0.0000001},
        {"description": 5},
        {"description": "x" * 201},
        '{"total_quota": ',
    ],
)
def test_what_is_refused_is_400_with_words(ask, body):
    answer = ask("post", "/auth/keys", body)
    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)
    assert not ApiKey.objects.exists()


def test_the_list_is_masked(ask):
    first, secret = services.issue_key(quota_micros=10 * CREDIT, description="first")
    endless, _ = services.issue_key(quota_micros=None)
    gone, _ = services.issue_key(quota_micros=CREDIT)
    services.delete_key(key=gone)
    answer = ask("get", "/auth/keys")
    listed = answer.json()
    assert listed["total_keys"] == 2
    assert set(listed["keys"][0]) == SHAPE | {"model_stats"}
    assert [row["api_key"] for row in listed["keys"]] == [first.masked, endless.masked]
    assert listed["keys"][0]["model_stats"] == {}
    assert listed["keys"][1]["total_quota"] is None
    assert secret[15:] not in answer.content.decode()


def test_one_is_found_by_itself_its_id_or_as_it_is_shown(ask):
    row, secret = services.issue_key(quota_micros=10 * CREDIT)
    for named in (secret, row.public_id, row.masked, f"sk-{row.public_id}"):
        answer = ask("get", f"/auth/keys/{named}")
        assert answer.json()["api_key"] == row.masked, named
    wrong = secret[:-1] + ("a" if secret[-1] != "a" else "b")
    for named in (wrong, "sk-", "nothing", "%00"):
        answer = ask("get", f"/auth/keys/{named}")
        assert answer.status_code == 404, named
        assert answer.json()["detail"] == "API key not found"


def test_a_deleted_one_is_gone_but_for_the_books(ask):
    row, secret = services.issue_key(quota_micros=10 * CREDIT)
    answer = ask("delete", f"/auth/keys/{row.public_id}")
    assert answer.json()["api_key"] == row.masked
    assert "message" in answer.json()
    row.refresh_from_db()
    assert row.deleted_at is not None
    assert ask("delete", f"/auth/keys/{row.public_id}").status_code == 404
    assert ask("get", f"/auth/keys/{secret}").status_code == 404


def test_log_lines_do_not_tell_a_key(ask, caplog):
    _, secret = services.issue_key(quota_micros=CREDIT)
    ask("get", f"/auth/keys/{secret}x")
    ask("delete", f"/auth/keys/{secret}")
    ask("get", f"/auth/keys/{secret}")
    assert "Not Found" in caplog.text
    assert secret[15:] not in caplog.text
