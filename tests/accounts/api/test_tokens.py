from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import keys
from accounts.models import ApiToken, User
from accounts.services import tokens
from gateway.lib.audit import AuditEntry
from gateway.lib.errors import Conflict

TOKENS = "/api/tokens"
JOBS = "/api/jobs"


def make(client, *scopes, **more):
    return client.post(TOKENS, {"name": "script", "scopes": list(scopes), **more}, format="json")


def test_a_token_is_shown_once_and_only_its_digest_is_kept(alice, signed_in):
    answer = make(signed_in(alice), "jobs:read")
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    text = answer.data["token"]
    assert text.startswith("wsp_")
    row = ApiToken.objects.get()
    assert row.digest == keys.digest_of(text)
    listed = signed_in(alice).get(TOKENS)
    assert text not in listed.content.decode()
    assert listed.data["results"][0]["masked"] == f"{text[:8]}…"


def test_making_and_revoking_are_audited_without_the_token(alice, signed_in):
    client = signed_in(alice)
    made = make(client, "jobs:read").data
    assert client.delete(f"{TOKENS}/{made['id']}").status_code == 204
    revoked, created = AuditEntry.objects.filter(action__startswith="tokens.")
    assert (created.action, created.actor, created.before) == ("tokens.create", "alice", {})
    assert created.after["scopes"] == ["jobs:read"]
    assert revoked.action == "tokens.revoke"
    assert revoked.before == {"revoked_at": None}
    kept = "".join(map(str, (created.before, created.after, created.detail, revoked.detail)))
    assert made["token"] not in kept


def test_it_works_until_it_is_revoked(alice, with_token):
    client = with_token(alice, "*")
    assert client.get(JOBS).status_code == 200
    tokens.revoke_token(token=ApiToken.objects.get())
    refused = client.get(JOBS)
    assert refused.status_code == 401
    assert "revoked" in refused.data["detail"]


def test_it_works_until_it_expires(alice, with_token):
    client = with_token(alice, "*", expires_at=timezone.now() + timedelta(hours=1))
    assert client.get(JOBS).status_code == 200
    ApiToken.objects.update(expires_at=timezone.now())
    assert client.get(JOBS).status_code == 401


def test_it_dies_with_its_owners_account_and_follows_their_role(alice, with_token):
    client = with_token(alice, "*")
    User.objects.filter(pk=alice.pk).update(role="member", is_superuser=False)
    assert client.get(JOBS).status_code == 403
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert client.get(JOBS).status_code == 401


@pytest.mark.parametrize(
    ("scopes", "reads", "writes"),
    [
        (["*"], 200, 201),
        (["announcements:write"], 200, 201),
        (["announcements:read"], 200, 403),
        (["jobs:read", "jobs:write"], 403, 403),
    ],
)
def test_scopes_bound_what_it_may(alice, with_token, scopes, reads, writes):
    client = with_token(alice, *scopes)
    assert client.get("/api/announcements").status_code == reads
    answer = client.post("/api/announcements", {"title": "Hello"}, format="json")
    assert answer.status_code == writes
    if writes == 403:
        assert answer.data == {
            "detail": "This token lacks the scope announcements:write.",
            "code": "permission_denied",
        }


def test_a_scope_makes_nobody_more_than_they_are(bob, with_token):
    assert with_token(bob, "announcements:write").get("/api/announcements").status_code == 403


@pytest.mark.parametrize("scope", ["everything", "jobs", "jobs:delete", ":read", "nothing:read"])
def test_there_are_only_scopes_that_mean_something(alice, signed_in, scope):
    answer = make(signed_in(alice), scope)
    assert answer.status_code == 400
    assert answer.data["param"] == "scopes"
    assert "jobs" in answer.data["detail"]


def test_a_token_hands_out_no_more_than_it_has(alice, with_token):
    soon = timezone.now() + timedelta(days=1)
    client = with_token(alice, "tokens:write", "jobs:write", expires_at=soon)
    assert make(client, "jobs:read", expires_at=soon.isoformat()).status_code == 201
    assert make(client, "*", expires_at=soon.isoformat()).status_code == 403
    assert make(client, "rules:read", expires_at=soon.isoformat()).status_code == 403
    assert make(client, "jobs:read").status_code == 403
    later = (soon + timedelta(seconds=1)).isoformat()
    assert make(client, "jobs:read", expires_at=later).status_code == 403
    assert make(with_token(alice, "jobs:write"), "jobs:read").status_code == 403


def test_the_panel_password_lists_tokens_and_makes_none(alice, settings, signed_in):
    settings.PANEL_PASSWORD = "let-me-in"
    make(signed_in(alice), "jobs:read")
    client = APIClient(headers={"authorization": "Bearer let-me-in"})
    assert len(client.get(TOKENS).data["results"]) == 1
    assert make(client, "jobs:read").status_code == 403
    assert client.delete(f"{TOKENS}/{ApiToken.objects.get().pk}").status_code == 204


def test_everybody_has_their_own(alice, bob, signed_in):
    theirs = make(signed_in(alice), "jobs:read").data["id"]
    mine = make(signed_in(bob), "requests:read").data["id"]
    client = signed_in(bob)
    assert [one["id"] for one in client.get(TOKENS).data["results"]] == [mine]
    assert client.get(f"{TOKENS}/{theirs}").status_code == 404
    assert client.delete(f"{TOKENS}/{theirs}").status_code == 404
    every = signed_in(alice).get(TOKENS, {"owner": "bob"}).data["results"]
    assert [one["owner"] for one in every] == ["bob"]


def test_lists_tell_what_works(alice, signed_in):
    client = signed_in(alice)
    for _ in range(3):
        make(client, "jobs:read")
    newest, middle, _ = ApiToken.objects.order_by("-pk")
    tokens.revoke_token(token=newest)
    ApiToken.objects.filter(pk=middle.pk).update(expires_at=timezone.now())
    states = [one["state"] for one in client.get(TOKENS).data["results"]]
    assert states == ["revoked", "expired", "active"]
    for state in states:
        (one,) = client.get(TOKENS, {"state": state}).data["results"]
        assert one["state"] == state


def test_nobody_heaps_them_up(alice):
    for _ in range(tokens.MOST_LIVE):
        token, _ = tokens.make_token(owner=alice, name="t", scopes_=["jobs:read"])
    with pytest.raises(Conflict):
        tokens.make_token(owner=alice, name="t", scopes_=["jobs:read"])
    tokens.revoke_token(token=token)
    tokens.make_token(owner=alice, name="t", scopes_=["jobs:read"])


def test_the_last_use_is_kept_to_the_minute(alice, with_token, django_assert_num_queries):
    client = with_token(alice, "*")
    client.get("/api/me")
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    with django_assert_num_queries(1):
        client.get("/api/me")
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=first - timedelta(minutes=1))
    client.get("/api/me")
    assert ApiToken.objects.get().last_used_at >= first


@pytest.mark.parametrize("text", ["wsp_", "wsp_short", "wsp_" + "é" * 43, "wsp_" + "A" * 43])
def test_what_is_no_token_is_refused(db, text):
    client = APIClient(headers={"authorization": f"Bearer {text}".encode()})
    assert client.get("/api/me").status_code == 401


def test_a_change_by_a_token_says_by_which(alice, with_token):
    with_token(alice, "announcements:write").post(
        "/api/announcements", {"title": "Hello"}, format="json"
    )
    assert AuditEntry.objects.latest("pk").detail == {"token_name": "script"}


def test_me_tells_who_asks_and_what_they_may(alice, bob, with_token, signed_in):
    by_token = with_token(bob, "me:read").get("/api/me").data
    assert by_token == {
        "username": "bob",
        "role": "member",
        "group": None,
        "token": "script",
        "scopes": ["me:read"],
    }
    assert signed_in(alice).get("/api/me").data["scopes"] == ["*"]
    assert APIClient().get("/api/me").status_code == 401
