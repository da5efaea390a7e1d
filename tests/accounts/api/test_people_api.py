"""/api/users, /api/groups, /api/invitations: for operators, audited, in words when refused."""

from __future__ import annotations

import pytest
from django.db.models import F
from django.test import Client

from accounts import selectors, services
from accounts.models import ApiKey, Group, Invitation, User
from accounts.services import tokens
from gateway.lib.audit import AuditEntry
from quotas.models import Balance, Entry

CREDIT = 1_000_000
PASSWORD = "rather-long-words"


@pytest.fixture
def api(alice):
    client = Client()
    client.force_login(alice)

    def ask(method, path, body=None, expect=None):
        facts = {"data": body, "content_type": "application/json"} if body is not None else {}
        answer = getattr(client, method)(f"/api/{path}", **facts)
        if expect is not None:
            assert answer.status_code == expect, answer.content
        return answer.json() if answer.content else None

    return ask


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["users", "groups", "invitations"])
def test_they_are_for_operators(client, bob, path):
    assert client.get(f"/api/{path}").status_code == 401
    client.force_login(bob)
    assert client.get(f"/api/{path}").status_code == 403
    assert client.post(f"/api/{path}", {}, content_type="application/json").status_code == 403


def test_a_person_is_made_and_gets_in_by_the_link(api, client, db):
    group = Group.objects.create(name="Friends", member_grant_micros=CREDIT)
    made = api("post", "users", {"username": "dora", "group": group.pk}, 201)
    assert made["wallet"] == {"total": "1", "used": "0", "reserved": "0", "remaining": "1"}
    page = client.get(made["password_link"].removeprefix("http://testserver"), follow=True)
    new = {"password1": PASSWORD, "password2": PASSWORD}
    client.post(page.redirect_chain[-1][0], new)
    assert client.post("/account/login", {"login": "dora", "password": PASSWORD}).url == "/account"
    entry = AuditEntry.objects.get(action="users.create")
    assert (entry.actor, entry.after["group"]) == ("alice", "Friends")
    assert "password_link" not in api("get", f"users/{made['id']}", expect=200)
    assert "username" in api("post", "users", {"username": "DORA"}, 400)


def test_a_taken_name_is_said(api, bob):
    assert "username" in api("post", "users", {"username": "bob"}, 400)


def test_a_person_is_changed_and_their_keys_learn_of_it(api, bob, issue):
    key, _ = issue(owner=bob)
    group = api("post", "groups", {"name": "Friends", "tariff": "friends"}, 201)["id"]
    before = ApiKey.objects.get(pk=key.pk).revision
    body = {"group": group, "limits": {"rpm": 3, "day_credits": "2.5"}, "wallet": "10"}
    told = api("patch", f"users/{bob.pk}", body, 200)
    assert told["limits"]["day_credits"] == "2.5"
    assert told["wallet"]["remaining"] == "10"
    row = ApiKey.objects.select_related("owner__group").get(pk=key.pk)
    assert row.revision > before
    record = selectors.record_of(row)
    assert record.tariff == "friends"
    (own,) = (one for one in record.terms if one.scope == f"u{bob.pk}")
    assert (own.rpm, own.account.day_micros) == (3, 2_500_000)
    entry = AuditEntry.objects.get(action="users.edit")
    assert entry.before["limits.rpm"] is None
    assert entry.after["limits.rpm"] == 3
    assert "username" not in entry.after
    api("patch", f"users/{bob.pk}", {"limits": None, "wallet": None}, 200)
    told = api("get", f"users/{bob.pk}")
    assert told["limits"]["rpm"] is None
    assert told["wallet"]["total"] is None


def test_limits_by_day_have_something_to_be_counted_on(api, bob):
    assert bob.balance is None
    told = api("patch", f"users/{bob.pk}", {"limits": {"day_credits": "1"}}, 200)
    assert told["wallet"]["total"] is None
    bob.refresh_from_db()
    assert bob.balance.open_ended


def test_whoever_moves_keeps_the_wallet(api, bob):
    first = api("post", "groups", {"name": "One", "member_grant": "5"}, 201)["id"]
    second = api("post", "groups", {"name": "Two", "member_grant": "7"}, 201)["id"]
    assert api("patch", f"users/{bob.pk}", {"group": first})["wallet"]["total"] == "5"
    assert api("patch", f"users/{bob.pk}", {"group": second})["wallet"]["total"] == "5"


def test_the_grant_is_given_where_days_are_counted_too(api, bob):
    body = {"name": "One", "member_grant": "5", "member_limits": {"day_credits": "1"}}
    group = api("post", "groups", body, 201)["id"]
    assert api("patch", f"users/{bob.pk}", {"group": group})["wallet"]["total"] == "5"
    bob.refresh_from_db()
    assert bob.balance.day > 0


def test_who_stays_in_a_group_gets_no_grant_by_another_change(api, bob):
    group = api("post", "groups", {"name": "One"}, 201)["id"]
    api("patch", f"users/{bob.pk}", {"group": group})
    api("patch", f"groups/{group}", {"member_grant": "5"}, 200)
    told = api("patch", f"users/{bob.pk}", {"group": group, "first_name": "Bob"}, 200)
    assert told["wallet"] is None


def test_credits_are_given_and_taken(api, bob):
    assert api("post", f"users/{bob.pk}/credits", {"credits": "1"}, 409)["code"] == "conflict"
    api("patch", f"users/{bob.pk}", {"wallet": "10"}, 200)
    told = api("post", f"users/{bob.pk}/credits", {"credits": "2.5", "reason": "prize"}, 200)
    assert told["wallet"]["total"] == "12.5"
    assert api("post", f"users/{bob.pk}/credits", {"credits": "-12"})["wallet"]["total"] == "0.5"
    api("post", f"users/{bob.pk}/credits", {"credits": "-12"}, 409)
    for amount in ("NaN", "Infinity", "0.0000001", "1e30", "", None, True, 0):
        api("post", f"users/{bob.pk}/credits", {"credits": amount}, 400)
    assert AuditEntry.objects.filter(action="users.credits").count() == 2


def test_the_last_operator_stays(api, alice):
    for method, body in (("patch", {"role": "member"}), ("patch", {"is_active": False})):
        assert "last operator" in api(method, f"users/{alice.pk}", body, 409)["detail"]
    api("delete", f"users/{alice.pk}", expect=409)
    alice.refresh_from_db()
    assert alice.is_operator


def test_deleting_switches_off_the_person_and_their_keys(api, bob, issue):
    key, _ = issue(owner=bob)
    other = Client()
    other.force_login(bob)
    api("delete", f"users/{bob.pk}", expect=204)
    assert User.objects.filter(pk=bob.pk, is_active=False).exists()
    row = ApiKey.objects.select_related("owner").get(pk=key.pk)
    assert not selectors.record_of(row).is_active
    assert other.get("/account").status_code == 302
    api("post", f"users/{bob.pk}/password-link", {}, 409)


def test_sessions_are_ended(api, bob):
    other = Client()
    other.force_login(bob)
    assert other.get("/account").status_code == 200
    api("post", f"users/{bob.pk}/end-sessions", {}, 204)
    assert other.get("/account").status_code == 302


def test_people_are_found(api, bob, charlie):
    group = Group.objects.create(name="Friends")
    services.edit_user(user=bob, changes={"group": group, "email": "bo@example.org"})

    def names(query):
        return [one["username"] for one in api("get", f"users?{query}", expect=200)["results"]]

    assert names("") == ["charlie", "bob", "alice"]
    assert names("q=bo@") == ["bob"]
    assert names("role=operator") == ["alice"]
    assert names(f"group={group.pk}") == ["bob"]
    assert names("group=0") == ["charlie", "alice"]
    assert names("active=false") == []
    page = api("get", "users?page_size=2")
    assert len(page["results"]) == 2
    assert page["next"]
    for query in ("role=emperor", "group=x", "cursor=x"):
        api("get", f"users?{query}", expect=400)


def test_a_group_with_everything(api, db):
    body = {
        "name": "Friends",
        "total": "100",
        "member_grant": "10",
        "limits": {"rpm": 100, "month_credits": "50", "time_zone": "Asia/Shanghai"},
        "member_limits": {"rpm": 10, "allowed_networks": ["10.0.0.7/8"]},
        "price_factor": "0.500",
        "is_default": True,
    }
    made = api("post", "groups", body, 201)
    assert made["total"] == "100"
    assert made["limits"]["month_credits"] == "50"
    assert made["member_limits"]["allowed_networks"] == ["10.0.0.0/8"]
    second = api("post", "groups", {"name": "Others", "is_default": True}, 201)
    assert second["is_default"]
    assert not api("get", f"groups/{made['id']}")["is_default"]
    assert api("patch", f"groups/{made['id']}", {"total": None})["total"] is None
    api("delete", f"groups/{made['id']}", expect=204)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "friends"}, "name"),
        ({"name": "New", "limits": {"time_zone": "Mars/Base"}}, "limits"),
        ({"name": "New", "limits": {"allowed_networks": ["here"]}}, "limits"),
        ({"name": "New", "member_limits": {"allowed_dialects": ["morse"]}}, "member_limits"),
        ({"name": "New", "total": "-1"}, "total"),
        ({"name": "New", "member_grant": "NaN"}, "member_grant"),
        ({"name": "New", "price_factor": "-1"}, "price_factor"),
        ({"name": "New", "price_factor": "NaN"}, "price_factor"),
        ({"name": "New", "member_keys": -1}, "member_keys"),
    ],
)
def test_what_no_group_can_be(api, body, field):
    Group.objects.create(name="Friends")
    assert field in api("post", "groups", body, 400)
    assert Group.objects.count() == 1


def test_members_are_counted_when_their_group_begins_to_limit(api, bob, charlie, issue):
    group = api("post", "groups", {"name": "Friends"}, 201)["id"]
    api("patch", f"users/{bob.pk}", {"group": group, "wallet": "3"})
    api("patch", f"users/{charlie.pk}", {"group": group})
    key, _ = issue(owner=charlie)
    before = ApiKey.objects.get(pk=key.pk).revision
    api("patch", f"groups/{group}", {"member_limits": {"day_credits": "1"}}, 200)
    bob.refresh_from_db()
    charlie.refresh_from_db()
    assert bob.balance.total_micros == 3 * CREDIT
    assert bob.balance.day > 0
    assert charlie.balance.open_ended
    assert ApiKey.objects.get(pk=key.pk).revision > before


def test_limits_that_come_back_count_what_was_used_while_they_were_away(api, bob):
    group = api("post", "groups", {"name": "Friends"}, 201)["id"]
    api("patch", f"users/{bob.pk}", {"group": group, "wallet": "9"})
    api("patch", f"groups/{group}", {"member_limits": {"day_credits": "5"}}, 200)
    api("patch", f"groups/{group}", {"member_limits": None}, 200)
    bob.refresh_from_db()
    # Counted some days ago for the last time; the ledger knows of today.
    Balance.objects.filter(pk=bob.balance_id).update(day=F("day") - 3, day_micros=0)
    Entry.objects.create(
        balance=bob.balance, kind=Entry.Kind.SETTLE, amount_micros=2 * CREDIT, request_id="req_a"
    )
    api("patch", f"groups/{group}", {"member_limits": {"day_credits": "5"}}, 200)
    assert Balance.objects.get(pk=bob.balance_id).day_micros == 2 * CREDIT


def test_a_members_keys_learn_of_it_whatever_group_they_name_themselves(api, bob, issue):
    group = api("post", "groups", {"name": "Friends"}, 201)["id"]
    api("patch", f"users/{bob.pk}", {"group": group})
    key, _ = issue(owner=bob, group=Group.objects.create(name="Others"))
    before = ApiKey.objects.get(pk=key.pk).revision
    api("patch", f"groups/{group}", {"member_limits": {"rpm": 1}}, 200)
    assert ApiKey.objects.get(pk=key.pk).revision > before


def test_what_is_over_keeps_no_group(api, issue):
    """Nobody could move it: a deleted key takes no change, and an invitation neither."""
    group = Group.objects.create(name="Friends")
    key, _ = issue(group=group)
    (made,) = api("post", "invitations", {"group": group.pk}, 201)["invitations"]
    told = api("delete", f"groups/{group.pk}", expect=409)["detail"]
    assert "1 keys, 1 invitations" in told
    api("delete", f"keys/{key.public_id}", expect=204)
    api("post", f"invitations/{made['id']}/revoke", {}, 200)
    api("delete", f"groups/{group.pk}", expect=204)
    assert api("get", f"keys/{key.public_id}", expect=200)["group"] is None
    assert api("get", f"invitations/{made['id']}", expect=200)["group"] is None


def test_a_group_that_somebody_belongs_to_stays(api, bob):
    group = api("post", "groups", {"name": "Friends"}, 201)["id"]
    api("patch", f"users/{bob.pk}", {"group": group})
    assert "1 members" in api("delete", f"groups/{group}", expect=409)["detail"]


def test_invitations_are_told_once_and_listed_without_the_code(api, client, db):
    made = api("post", "invitations", {"count": 3, "note": "class"}, 201)["invitations"]
    assert len({one["code"] for one in made}) == 3
    listed = api("get", "invitations?state=open")["results"]
    assert len(listed) == 3
    assert not {"code", "link"} & set(listed[0])
    assert made[0]["code"] not in str(listed) + str(
        list(AuditEntry.objects.values_list("after", "detail"))
    )
    api("post", f"invitations/{made[0]['id']}/revoke", {}, 200)
    api("post", f"invitations/{made[0]['id']}/revoke", {}, 409)
    assert client.get(made[0]["link"], follow=True).status_code == 403
    assert client.get(made[1]["link"], follow=True).status_code == 200
    assert len(api("get", "invitations?state=revoked")["results"]) == 1
    assert api("get", "invitations?state=used")["results"] == []


def test_operators_are_invited_one_by_one(api, db):
    refused = api("post", "invitations", {"role": "operator", "max_uses": 5}, 400)
    assert refused["param"] == "max_uses"
    assert not Invitation.objects.exists()
    (made,) = api("post", "invitations", {"role": "operator"}, 201)["invitations"]
    assert made["expires_at"]


@pytest.mark.parametrize("role", ["operator", "steward"])
def test_a_token_of_some_scopes_makes_nobody_more_than_itself(alice, bob, role):
    """By a manager's account it could do what it may not."""

    def ask(scopes, method, path, body=None):
        _, text = tokens.make_token(owner=alice, name="script", scopes_=scopes)
        script = Client(headers={"authorization": f"Bearer {text}"})
        facts = {"data": body or {}, "content_type": "application/json"}
        return getattr(script, method)(f"/api/{path}", **facts).status_code

    some = ["users:write", "invitations:write"]
    manager = services.create_user(username="dora", role=role)
    for method, path, body in (
        ("post", "users", {"username": "eve", "role": role}),
        ("patch", f"users/{bob.pk}", {"role": role}),
        ("patch", f"users/{manager.pk}", {"email": "eve@example.org"}),
        ("delete", f"users/{manager.pk}", {}),
        ("post", f"users/{manager.pk}/password-link", {}),
        ("post", f"users/{manager.pk}/reset-factor", {}),
        ("post", "invitations", {"role": role}),
    ):
        assert ask(some, method, path, body) == 403, path
    assert not User.objects.filter(username="eve").exists()
    assert not Invitation.objects.exists()
    assert ask(some, "post", "users", {"username": "eve"}) == 201
    assert ask(some, "post", "invitations") == 201
    assert ask(some, "post", f"users/{bob.pk}/password-link") == 200
    assert ask(["*"], "patch", f"users/{bob.pk}", {"role": role}) == 200
