"""/api/campaigns, /api/codes and /api/redeem as an operator's script and a member use them."""

from __future__ import annotations

import pytest

from accounts.services import issue_key
from gateway.lib.audit import AuditEntry
from quotas import services
from quotas.models import Campaign, Code

pytestmark = pytest.mark.django_db
JSON = {"content_type": "application/json"}


@pytest.fixture
def operator(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def member(client, bob):
    client.force_login(bob)
    return client


def last_audit():
    return AuditEntry.objects.order_by("-pk").first()


def test_a_campaign_is_made_changed_and_counted(operator):
    made = operator.post(
        "/api/campaigns", {"name": "Spring", "credits": "2.5", "credit_days": 30}, **JSON
    )
    assert made.status_code == 201, made.content
    assert made.json()["credits"] == "2.5"
    assert last_audit().action == "campaigns.create"
    url = f"/api/campaigns/{made.json()['id']}"
    changed = operator.patch(url, {"is_active": False}, **JSON)
    assert changed.json()["is_active"] is False
    assert (last_audit().before, last_audit().after) == ({"is_active": True}, {"is_active": False})
    codes = operator.post("/api/codes", {"campaign": made.json()["id"], "count": 3}, **JSON)
    assert len(codes.json()["codes"]) == 3
    told = operator.get(url).json()
    assert (told["codes"], told["redemptions"], told["given_credits"]) == (3, 0, "0")
    assert operator.get("/api/campaigns?active=true").json()["results"] == []
    assert len(operator.get("/api/campaigns?search=spr").json()["results"]) == 1
    assert operator.delete(url).status_code == 405


@pytest.mark.parametrize(
    "amount", ["0", "-1", "NaN", "Infinity", "1e30", "0.0000001", "x", None, 0.1]
)
def test_what_is_no_number_of_credits_is_refused(operator, amount):
    answer = operator.post("/api/campaigns", {"name": "S", "credits": amount}, **JSON)
    assert answer.status_code == (201 if amount == 0.1 else 400), answer.content
    assert Campaign.objects.count() == (amount == 0.1)


def test_a_name_that_is_taken_is_a_conflict(operator, campaign):
    answer = operator.post("/api/campaigns", {"name": "Spring", "credits": "1"}, **JSON)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_codes_are_shown_once_and_masked_afterwards(operator, campaign):
    made = operator.post("/api/codes", {"campaign": campaign.pk, "count": 2}, **JSON)
    assert made.headers["cache-control"] == "no-store"
    codes = made.json()["codes"]
    listed = operator.get(f"/api/codes?campaign={campaign.pk}")
    assert [row["masked"] for row in listed.json()["results"]] == [
        f"{code[:4]}…" for code in reversed(codes)
    ]
    for code in codes:
        assert code not in listed.content.decode()
        assert code not in str(AuditEntry.objects.values_list())


def test_codes_come_as_a_table(operator, campaign):
    made = operator.post(
        "/api/codes/csv", {"campaign": campaign.pk, "words": ["WELCOME2026"]}, **JSON
    )
    assert made.headers["content-type"].startswith("text/csv")
    assert b"".join(made.streaming_content).decode().splitlines() == [
        "code,campaign",
        "WELCOME2026,Spring",
    ]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"count": 0},
        {"count": 10_001},
        {"count": 1, "words": ["A2345"]},
        {"words": []},
        {"count": 1, "max_uses": 0},
        {"count": 1, "expires_at": "2020-01-01T00:00:00Z"},
    ],
)
def test_what_cannot_be_made_is_refused(operator, campaign, asked):
    answer = operator.post("/api/codes", {"campaign": campaign.pk, **asked}, **JSON)
    assert answer.status_code == 400, answer.content
    assert not Code.objects.exists()


def test_a_code_is_revoked_and_found_by_its_state(operator, campaign):
    services.make_codes(campaign=campaign, count=2)
    first = Code.objects.first()
    assert operator.post(f"/api/codes/{first.pk}/revoke").json()["state"] == "revoked"
    assert last_audit().subject == f"code {first.pk}"
    for state, count in (("revoked", 1), ("usable", 1), ("used", 0), ("expired", 0)):
        assert len(operator.get(f"/api/codes?state={state}").json()["results"]) == count
    assert len(operator.get(f"/api/codes?starts={first.hint}").json()["results"]) >= 1


def test_a_member_redeems_into_the_wallet_or_an_own_key(member, campaign, bob):
    services.save_campaign(campaign=campaign, values={"once_each": False})
    key, _ = issue_key(quota_micros=1_000_000, owner=bob)
    first, second = services.make_codes(campaign=campaign, count=2)
    answer = member.post("/api/redeem", {"code": first}, **JSON)
    assert answer.json() == {
        "campaign": "Spring",
        "credits": "2",
        "expires_at": None,
        "remaining_credits": "12",
    }
    assert (last_audit().action, last_audit().subject) == ("codes.redeem", "user bob")
    answer = member.post("/api/redeem", {"code": second, "key": key.public_id}, **JSON)
    assert answer.json()["remaining_credits"] == "3"
    again = member.post("/api/redeem", {"code": second}, **JSON)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert member.post("/api/redeem", {"code": "nonsense"}, **JSON).status_code == 400


def test_wrong_codes_are_counted_by_household(member, settings):
    settings.WRONG_CODES_PER_HOUR = 2
    codes = [
        member.post("/api/redeem", {"code": "nonsense"}, REMOTE_ADDR=f"2001:db8::{n}", **JSON)
        for n in range(3)
    ]
    assert [answer.status_code for answer in codes] == [400, 400, 429]


def test_nobody_redeems_into_the_key_of_another(member, campaign):
    key, _ = issue_key(quota_micros=1_000_000)
    [code] = services.make_codes(campaign=campaign, count=1)
    answer = member.post("/api/redeem", {"code": code, "key": key.public_id}, **JSON)
    assert answer.status_code == 400
    assert Code.objects.get().uses == 0


def test_only_operators_make_codes_and_only_people_redeem(client, bob, campaign):
    assert client.post("/api/redeem", {"code": "x"}, **JSON).status_code in (401, 403)
    client.force_login(bob)
    for path in ("/api/campaigns", "/api/codes", "/api/ledger"):
        assert client.get(path).status_code == 403
    assert (
        client.post("/api/codes", {"campaign": campaign.pk, "count": 1}, **JSON).status_code == 403
    )


@pytest.mark.parametrize("known", ["w", "we", "wel", "welc", "welco", "WEL-COME", "welcome"])
def test_a_word_is_found_by_as_much_as_one_knows_of_it(operator, campaign, known):
    services.make_words(campaign=campaign, words=["WELCOME", "WXYZ2345"])
    found = operator.get("/api/codes", {"starts": known}).json()["results"]
    assert "WEL…" in {row["masked"] for row in found}
    assert len(found) == (2 if known == "w" else 1)
