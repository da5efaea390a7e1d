from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser

from gateway.lib.audit import AuditEntry, record, record_change, record_request, shown

pytestmark = pytest.mark.django_db

FERNET_FREE_KEY = "sk-" + "a" * 48


def request_of(name="alice", auth=None):
    user = SimpleNamespace(get_username=lambda: name) if name else AnonymousUser()
    return SimpleNamespace(user=user, auth=auth, META={"REMOTE_ADDR": "203.0.113.7"})


def change(before, after, **detail):
    entry = record_change(
        request_of(), action="keys.edit", subject="key 7", before=before, after=after, **detail
    )
    return AuditEntry.objects.get(pk=entry.pk)


def test_only_what_differs_is_kept():
    entry = change({"name": "a", "rpm": 5}, {"name": "b", "rpm": 5}, reason="typo")
    assert (entry.before, entry.after, entry.detail) == (
        {"name": "a"},
        {"name": "b"},
        {"reason": "typo"},
    )
    assert (entry.actor, entry.address) == ("alice", "203.0.113.7")


def test_what_is_made_or_deleted_has_one_side():
    assert (change({}, {"name": "a"}).before, change({"name": "a"}, {}).after) == ({}, {})


def test_a_field_that_becomes_empty_differs_from_one_that_was_not_there():
    assert change({"x": None}, {}).before == {"x": None}


def test_amounts_and_days_can_be_kept():
    at = datetime(2026, 11, 20, 8, tzinfo=UTC)
    entry = change({}, {"credits": Decimal("1.50"), "at": at, "names": {"b"}}, days=(at,))
    assert entry.after == {"credits": "1.50", "at": "2026-11-20T08:00:00Z", "names": ["b"]}
    assert entry.detail == {"days": ["2026-11-20T08:00:00Z"]}


@pytest.mark.parametrize(
    "name",
    ["secret", "client_secret", "password", "digest", "previous_digest", "api_key", "key", "code",
     "webhook", "webhook_url", "cookies", "private_key", "refresh_token"],
)  # fmt: skip
def test_secrets_are_told_by_their_name(name):
    assert change({name: "old"}, {name: "new"}).after == {name: "…"}
    assert change({name: ""}, {name: "new"}).before == {name: ""}


@pytest.mark.parametrize(
    "name", ["input_tokens", "member_keys", "key_id", "allowed_models", "tpm", "token_name"]
)
def test_counts_and_names_are_no_secrets(name):
    assert shown(name, 7) == 7


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"made {FERNET_FREE_KEY}", "made …"),
        ("wsp_" + "A" * 43, "…"),
        ("http://user:pass@proxy.example:3128", "http://…@proxy.example:3128"),
        ("sk-abcdefghijkl…", "sk-abcdefghijkl…"),
        ("a\0b\ud83d", "ab?"),
    ],
)
def test_secrets_are_told_by_their_look_too(text, kept):
    assert shown("note", text) == kept
    assert change({}, {"limits": {"deep": [text]}}).after == {"limits": {"deep": [kept]}}
    assert record(actor="a", action="x", why={"deep": [text]}).detail == {"why": {"deep": [kept]}}


def test_nested_secrets_are_masked_by_their_own_name():
    entry = change({}, {"login": {"password": "x", "user": "u"}})
    assert entry.after == {"login": {"password": "…", "user": "u"}}


def test_who_came_by_a_token_is_told_apart():
    entry = record_request(request_of(auth=SimpleNamespace(name="nightly")), action="x")
    assert entry.detail == {"token_name": "nightly"}
    assert record_request(request_of(name=""), action="x").actor == "nobody"


def test_an_entry_is_written_once():
    entry = record(actor="a", action="x")
    with pytest.raises(TypeError):
        entry.save()
    with pytest.raises(TypeError):
        entry.delete()
