"""Every change by the API leaves a line in the audit log. Made from the URL conf: a changing route that nobody entered here fails."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from accounts.models import Announcement, ApiKey, ApiToken, Group, Invitation, KeyTemplate, User
from accounts.services import issue_key, tokens
from apiproxy.models import VerdictRule
from credentials.models import Contributor, Credential, Import
from gateway.lib import site_settings
from gateway.lib.audit import AuditEntry
from gateway.lib.jobs import Job
from quotas.models import Campaign, Code, Multiplier, Price
from tests.credentials.samples import gcli2api, store_key
from tests.gateway.routing import every_route

CREDIT = 1_000_000
GOOGLE_KEY = "AIza" + "C" * 35

# They change nothing, or what they change is told where it happens.
EXEMPT = {
    "post api/prices/what-if": "reckons",
    "post api/rules/dry-run": "reckons",
    "post auth/login": "gives a token of the panel password's, which ends after a day",
    "post auth/query": "reads",
    "post auth/start": "begins a consent; what comes of it is audited when it is stored",
    "post auth/callback-url": "goes on with a consent: credentials/services/flow_rows.py audits it",
    "post api/imports": "a preview, which nothing is stored of; confirming it is audited",
    "post api/redeem": "of a member: tests/quotas/api has it, with its line",
    "post creds/fetch-email/<name>": "fills in the address that Google tells, as upkeep does by itself",
    "post creds/refresh-all-emails": "the same for all",
}


@pytest.fixture
def world(db, settings, monkeypatch):
    """One of everything, in a state in which it can be changed."""
    cache.clear()
    alice = User.objects.create_superuser("alice")
    client = APIClient()
    client.force_login(alice)
    made = {}

    def post(path, body):
        answer = client.post(path, body, format="json")
        assert answer.status_code in (200, 201), (path, answer.data)
        return answer.data

    key, _ = issue_key(quota_micros=10 * CREDIT, description="old")
    made["campaign"] = post("/api/campaigns", {"name": "Spring", "credits": "5"})["id"]
    post("/api/codes", {"campaign": made["campaign"], "count": 1})
    post("/api/groups", {"name": "Friends"})
    post("/api/users", {"username": "bob"})
    post("/api/invitations", {"max_uses": 3})
    post("/api/key-templates", {"name": "Trial", "quota": "5"})
    post("/api/prices", {"pattern": "old-*", "per_call": "2"})
    post("/api/multipliers", {"feature": "search", "factor": "2"})
    post("/api/rules", {"position": 1, "status": 429, "action": "rest", "rest_s": 60})
    credential = store_key(1)
    token, _ = tokens.make_token(owner=alice, name="old", scopes_=["*"])
    yield SimpleNamespace(
        client=client,
        alice=alice,
        key=key,
        bob=User.objects.get(username="bob"),
        group=Group.objects.get(),
        invitation=Invitation.objects.get(),
        template=KeyTemplate.objects.get(),
        code=Code.objects.get(),
        campaign=Campaign.objects.get(),
        price=Price.objects.latest("pk"),
        multiplier=Multiplier.objects.latest("pk"),
        rule=VerdictRule.objects.get(),
        credential=credential,
        contributor=Contributor.objects.create(name="Ada"),
        token=token,
        announcement=Announcement.objects.create(title="old"),
        settings=settings,
    )
    site_settings.apply({})


def waiting_import(world):
    world.client.post("/api/imports", {"text": GOOGLE_KEY}, format="json")
    return Import.objects.latest("created_at").pk


def waiting_job(world):
    return Job.objects.create(kind="credentials.bulk", title="bulk", actor="alice").pk


def rotated(world):
    assert (
        world.client.post(
            f"/api/keys/{world.key.public_id}/rotate", {"overlap_hours": 5}, format="json"
        ).status_code
        == 200
    )
    return world.key.public_id


def disabled(world):
    assert (
        world.client.post(f"/api/keys/{world.key.public_id}/disable", format="json").status_code
        == 200
    )
    return world.key.public_id


def claimable(world):
    body = {"count": 1, "quota": "5", "hand_out": "claim_links"}
    assert world.client.post("/api/keys/batch", body, format="json").status_code == 201
    return ApiKey.objects.latest("pk").public_id


def changed_settings(world):
    world.client.patch("/api/settings", {"values": {"AUTO_BAN": True}}, format="json")
    return {}


# "method route": address and body by what there is.
CHANGES = {
    "post api/announcements": lambda w: ("api/announcements", {"title": "new"}),
    "patch api/announcements/<pk>": lambda w: (f"api/announcements/{w.announcement.pk}", {"title": "new"}),
    "delete api/announcements/<pk>": lambda w: (f"api/announcements/{w.announcement.pk}", None),
    "post api/campaigns": lambda w: ("api/campaigns", {"name": "Autumn", "credits": "5"}),
    "patch api/campaigns/<pk>": lambda w: (f"api/campaigns/{w.campaign.pk}", {"note": "new"}),
    "post api/codes": lambda w: ("api/codes", {"campaign": w.campaign.pk, "count": 2}),
    "post api/codes/csv": lambda w: ("api/codes/csv", {"campaign": w.campaign.pk, "count": 2}),
    "post api/codes/<pk>/revoke": lambda w: (f"api/codes/{w.code.pk}/revoke", None),
    "post api/contributors/<public_id>/link": lambda w: (f"api/contributors/{w.contributor.public_id}/link", None),
    "patch api/credentials/<pk>": lambda w: (f"api/credentials/{w.credential.pk}", {"weight": 3}),
    "delete api/credentials/<pk>": lambda w: (f"api/credentials/{w.credential.pk}", None),
    "post api/credentials/<pk>/<action>": lambda w: (f"api/credentials/{w.credential.pk}/disable", {}),
    "post api/credentials/bulk": lambda w: ("api/credentials/bulk", {"action": "add_tag", "ids": [w.credential.pk], "params": {"tag": "eu"}}),
    "post api/credentials/export": lambda w: ("api/credentials/export", {"format": "keys", "ids": [w.credential.pk]}),
    "post api/groups": lambda w: ("api/groups", {"name": "Others"}),
    "patch api/groups/<pk>": lambda w: (f"api/groups/{w.group.pk}", {"note": "new"}),
    "delete api/groups/<pk>": lambda w: (f"api/groups/{w.group.pk}", None),
    "post api/imports/<pk>/confirm": lambda w: (f"api/imports/{waiting_import(w)}/confirm", {}),
    "post api/imports/<pk>/cancel": lambda w: (f"api/imports/{waiting_import(w)}/cancel", None),
    "post api/invitations": lambda w: ("api/invitations", {"note": "new"}),
    "post api/invitations/<pk>/revoke": lambda w: (f"api/invitations/{w.invitation.pk}/revoke", None),
    "post api/jobs/<pk>/cancel": lambda w: (f"api/jobs/{waiting_job(w)}/cancel", None),
    "post api/key-templates": lambda w: ("api/key-templates", {"name": "Other", "quota": "5"}),
    "patch api/key-templates/<pk>": lambda w: (f"api/key-templates/{w.template.pk}", {"name": "new", "quota": "5"}),
    "delete api/key-templates/<pk>": lambda w: (f"api/key-templates/{w.template.pk}", None),
    "post api/keys": lambda w: ("api/keys", {"description": "new", "quota": "5"}),
    "post api/keys/batch": lambda w: ("api/keys/batch", {"count": 2, "quota": "5"}),
    "post api/keys/bulk": lambda w: ("api/keys/bulk", {"action": "disable", "ids": [w.key.public_id]}),
    "patch api/keys/<public_id>": lambda w: (f"api/keys/{w.key.public_id}", {"description": "new"}),
    "delete api/keys/<public_id>": lambda w: (f"api/keys/{w.key.public_id}", None),
    "post api/keys/<public_id>/claim-link": lambda w: (f"api/keys/{claimable(w)}/claim-link", {}),
    "post api/keys/<public_id>/credits": lambda w: (f"api/keys/{w.key.public_id}/credits", {"credits": "5"}),
    "post api/keys/<public_id>/disable": lambda w: (f"api/keys/{w.key.public_id}/disable", None),
    "post api/keys/<public_id>/enable": lambda w: (f"api/keys/{disabled(w)}/enable", None),
    "post api/keys/<public_id>/end-overlap": lambda w: (f"api/keys/{rotated(w)}/end-overlap", None),
    "post api/keys/<public_id>/revoke": lambda w: (f"api/keys/{w.key.public_id}/revoke", None),
    "post api/keys/<public_id>/rotate": lambda w: (f"api/keys/{w.key.public_id}/rotate", {}),
    "post api/keys/<public_id>/share": lambda w: (f"api/keys/{w.key.public_id}/share", {"renew": True}),
    "post api/multipliers": lambda w: ("api/multipliers", {"feature": "image_4k", "factor": "3"}),
    "post api/multipliers/<pk>/end": lambda w: (f"api/multipliers/{w.multiplier.pk}/end", {}),
    "post api/prices": lambda w: ("api/prices", {"pattern": "new-*", "per_call": "1"}),
    "post api/prices/<pk>/end": lambda w: (f"api/prices/{w.price.pk}/end", {}),
    "post api/rules": lambda w: ("api/rules", {"position": 2, "status": 500, "action": "rest", "rest_s": 60}),
    "patch api/rules/<pk>": lambda w: (f"api/rules/{w.rule.pk}", {"note": "new"}),
    "delete api/rules/<pk>": lambda w: (f"api/rules/{w.rule.pk}", None),
    "patch api/settings": lambda w: ("api/settings", {"values": {"AUTO_BAN": True}}),
    "post api/settings/undo": lambda w: ("api/settings/undo", changed_settings(w)),
    "post api/tokens": lambda w: ("api/tokens", {"name": "new", "scopes": ["*"]}),
    "delete api/tokens/<pk>": lambda w: (f"api/tokens/{w.token.pk}", None),
    "post api/users": lambda w: ("api/users", {"username": "dora"}),
    "patch api/users/<pk>": lambda w: (f"api/users/{w.bob.pk}", {"first_name": "Bob"}),
    "delete api/users/<pk>": lambda w: (f"api/users/{w.bob.pk}", None),
    "post api/users/<pk>/credits": lambda w: (f"api/users/{with_wallet(w)}/credits", {"credits": "5"}),
    "post api/users/<pk>/end-sessions": lambda w: (f"api/users/{w.bob.pk}/end-sessions", None),
    "post api/users/<pk>/password-link": lambda w: (f"api/users/{w.bob.pk}/password-link", None),
    "post api/users/<pk>/reset-factor": lambda w: (f"api/users/{with_factor(w)}/reset-factor", None),
    "post auth/keys": lambda w: ("auth/keys", {"quota": 5}),
    "delete auth/keys/<named>": lambda w: (f"auth/keys/{w.key.public_id}", None),
    "post auth/models/costs": lambda w: ("auth/models/costs", {"model_name": "new", "cost": 2}),
    "delete auth/models/costs/<name>": lambda w: ("auth/models/costs/old-*", None),
    "delete auth/env-creds": lambda w: (loaded(w), None),
    "post auth/load-env-creds": lambda w: (environment(w), {}),
    "post auth/upload": lambda w: ("auth/upload", UPLOAD),
    "post config/save": lambda w: ("config/save", {"config": {"auto_ban_enabled": True}}),
    "post creds/action": lambda w: ("creds/action", {"filename": w.credential.name, "action": "disable"}),
    "post creds/batch-action": lambda w: ("creds/batch-action", {"filenames": [w.credential.name], "action": "disable"}),
    "post usage/update-limits": lambda w: ("usage/update-limits", {"filename": w.credential.name, "total_limit": 5}),
    "post usage/reset": lambda w: ("usage/reset", {"filename": w.credential.name}),
}  # fmt: skip
UPLOAD = object()


def environment(world):
    world.settings.ENV_CREDENTIALS = {"GCLI_CREDS_1": json.dumps(gcli2api())}
    return "auth/load-env-creds"


def loaded(world):
    world.client.post(f"/{environment(world)}")
    return "auth/env-creds"


def with_wallet(world):
    path = f"/api/users/{world.bob.pk}"
    assert world.client.patch(path, {"wallet": "10"}, format="json").status_code == 200
    return world.bob.pk


def with_factor(world):
    Authenticator.objects.create(user=world.bob, type=Authenticator.Type.TOTP, data={})
    return world.bob.pk


CHANGING = sorted(
    f"{method} {route.name}"
    for route in every_route()
    if route.is_api
    for method in route.methods
    if method != "get"
)


def test_every_changing_route_is_entered_here_and_nothing_else():
    assert set(CHANGING) == {*CHANGES, *EXEMPT}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_change_leaves_a_line_that_says_who_and_from_where(world, change):
    method = change.split(" ", 1)[0]
    path, body = CHANGES[change](world)
    last = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    ask = getattr(world.client, method)
    if body is UPLOAD:
        files = {"files": SimpleUploadedFile("keys.txt", GOOGLE_KEY.encode())}
        answer = ask(f"/{path}", files, format="multipart", REMOTE_ADDR="203.0.113.7")
    else:
        answer = ask(f"/{path}", body, format="json", REMOTE_ADDR="203.0.113.7")
    assert answer.status_code < 300, getattr(answer, "data", answer.content)
    lines = AuditEntry.objects.filter(pk__gt=last)
    assert lines, "no line in the audit log"
    for line in lines:
        assert (line.actor, line.address) == ("alice", "203.0.113.7"), line


def test_a_refused_change_leaves_none(world):
    last = AuditEntry.objects.latest("pk").pk
    refused = [
        world.client.post("/api/tokens", {"name": "x", "scopes": ["no"]}, format="json"),
        world.client.patch("/api/settings", {"values": {"AUTO_BAN": 1}}, format="json"),
        world.client.post("/api/keys", {"quota": "-1"}, format="json"),
        world.client.post("/api/groups", {"name": "Friends"}, format="json"),
    ]
    assert [answer.status_code for answer in refused] == [400] * 4
    assert not AuditEntry.objects.filter(pk__gt=last).exists()
    assert ApiToken.objects.count() == 1
    assert Credential.objects.count() == 1
