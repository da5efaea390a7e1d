"""/api/keys and /api/key-templates."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from accounts import keys, links, services
from accounts.models import ApiKey, Group, KeyClaim, KeyTemplate
from gateway.lib.audit import AuditEntry
from quotas.selectors import prove
from tests.accounts.conftest import CREDIT

LIST = "/api/keys"
TEMPLATES = "/api/key-templates"


@pytest.fixture
def api(client, alice):
    """api("post", path, {...}) -> response, as Alice."""
    client.force_login(alice)

    def ask(method, path, body=None):
        if method == "get":
            return client.get(path, body or {})
        return getattr(client, method)(
            path, json.dumps(body or {}), content_type="application/json"
        )

    return ask


def one(key):
    return f"{LIST}/{key.public_id}"


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


def body(answer):
    return b"".join(answer.streaming_content).decode()


class TestWho:
    PATHS = (
        ("get", LIST),
        ("post", LIST),
        ("post", f"{LIST}/bulk"),
        ("post", f"{LIST}/batch"),
        ("get", f"{LIST}/export"),
        ("get", TEMPLATES),
        ("post", TEMPLATES),
    )

    @pytest.mark.parametrize(("method", "path"), PATHS)
    def test_strangers_and_members_get_nothing(self, client, bob, method, path):
        assert getattr(client, method)(path).status_code in (401, 403)
        client.force_login(bob)
        assert getattr(client, method)(path).status_code == 403

    def test_not_even_their_own(self, client, bob, issue):
        key, _ = issue(owner=bob)
        client.force_login(bob)
        assert client.get(one(key)).status_code == 403
        assert client.post(f"{one(key)}/rotate").status_code == 403


class TestIssuing:
    def test_a_key_is_shown_once_and_masked_ever_after(self, api, bob):
        group = Group.objects.create(name="team")
        answer = api(
            "post",
            LIST,
            {
                "description": "Laptop",
                "notes": "paid in cash",
                "owner": bob.pk,
                "group": group.pk,
                "quota": "2.5",
                "limits": {"rpm": 3, "day_credits": "1", "allowed_networks": ["10.0.0.1"]},
                "lifetime_days": 30,
            },
        )
        assert answer.status_code == 201, answer.content
        made = answer.json()
        secret = made["api_key"]
        row = ApiKey.objects.get()
        assert keys.matches(secret, row.digest)
        assert answer["Cache-Control"] == "no-store"
        assert (made["owner_name"], made["group_name"]) == ("bob", "team")
        assert (made["quota"], made["remaining"], made["used"]) == ("2.5", "2.5", "0")
        assert made["limits"]["day_credits"] == "1"
        assert made["limits"]["allowed_networks"] == ["10.0.0.1/32"]
        for path in (LIST, one(row)):
            page = api("get", path).content.decode()
            assert row.public_id in page
            assert secret[15:] not in page
            assert row.digest not in page
        assert api("get", one(row)).json()["key"] == row.masked

    def test_it_is_written_down_without_the_key(self, api):
        secret = api("post", LIST, {"quota": "1"}).json()["api_key"]
        entry = AuditEntry.objects.get(action="keys.issue")
        assert entry.actor == "alice"
        assert entry.after["quota"] == "1"
        assert secret[15:] not in repr(AuditEntry.objects.values())

    def test_null_is_no_limit(self, api):
        made = api("post", LIST, {"quota": None}).json()
        assert (made["quota"], made["remaining"]) == (None, None)

    def test_the_template_says_what_is_not_said(self, api):
        template = services.save_template(
            template=None,
            changes={"name": "T", "quota_micros": 5 * CREDIT, "lifetime_days": 3},
            limits={"rpm": 7, "concurrency": 2},
        )
        made = api("post", LIST, {"template": template.pk, "limits": {"rpm": 1}}).json()
        assert (made["quota"], made["lifetime_days"]) == ("5", 3)
        assert (made["limits"]["rpm"], made["limits"]["concurrency"]) == (1, 2)
        assert api("post", LIST, {"template": template.pk, "quota": None}).json()["quota"] is None

    @pytest.mark.parametrize(
        ("asked", "field"),
        [
            ({}, "quota"),
            ({"quota": "-1"}, "quota"),
            ({"quota": "NaN"}, "quota"),
            ({"quota": "1e30"}, "quota"),
            ({"quota": "0.0000001"}, "quota"),
            ({"quota": True}, "quota"),
            ({"quota": []}, "quota"),
            ({"quota": "1", "owner": 999}, "owner"),
            ({"quota": "1", "description": "x" * 201}, "description"),
            ({"quota": "1", "description": "a\0b"}, "description"),
            ({"quota": "1", "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
            ({"quota": "1", "lifetime_days": 0}, "lifetime_days"),
            ({"quota": "1", "lifetime_days": 36_501}, "lifetime_days"),
            ({"quota": "1", "limits": {"time_zone": "Moon/Base"}}, "limits"),
            ({"quota": "1", "limits": {"allowed_networks": ["here"]}}, "limits"),
            ({"quota": "1", "limits": {"allowed_models": [""]}}, "limits"),
            ({"quota": "1", "limits": {"rpm": -1}}, "limits"),
        ],
    )
    def test_what_is_refused_names_the_field(self, api, asked, field):
        answer = api("post", LIST, asked)
        assert answer.status_code == 400
        assert field in json.dumps(answer.json())
        assert not ApiKey.objects.exists()


class TestListing:
    def test_newest_first_by_pages(self, api, issue):
        made = [issue()[0].public_id for _ in range(5)]
        first = api("get", LIST, {"page_size": 3}).json()
        assert [row["id"] for row in first["results"]] == made[:1:-1]
        rest = api("get", first["next"]).json()
        assert [row["id"] for row in rest["results"]] == made[1::-1]

    def test_filters(self, api, bob, issue):
        group = Group.objects.create(name="team")
        ours, _ = issue(owner=bob, description="Laptop", allowed_models=["*flash*"])
        grouped, _ = issue(group=group, description="Team key")
        used_up, _ = issue(quota_micros=0)
        off, _ = issue()
        services.set_key_active(key=off, is_active=False)
        gone, _ = issue()
        services.delete_key(key=gone)
        late, _ = issue(expires_at=timezone.now() + timedelta(days=1))
        ApiKey.objects.filter(pk=late.pk).update(expires_at=timezone.now())

        def found(**query):
            return set(ids(api("get", LIST, query)))

        assert found(owner="bob") == found(owner=str(bob.pk)) == {ours.public_id}
        assert found(owner="none") >= {grouped.public_id, used_up.public_id}
        assert found(group="TEAM") == found(group=str(group.pk)) == {grouped.public_id}
        assert found(q="lap") == found(q="bob") == found(q=ours.masked) == {ours.public_id}
        assert found(q=ours.public_id[:6]) == {ours.public_id}
        assert found(state="paused") == {off.public_id}
        assert found(state="deleted") == {gone.public_id}
        assert found(state="expired") == {late.public_id}
        assert found(state=["paused", "expired"]) == {off.public_id, late.public_id}
        assert gone.public_id not in found()
        assert found(model="*flash*") == {ours.public_id}
        assert found(model="*fla*") == set()
        assert found(exhausted="true") == {used_up.public_id}

    def test_a_whole_key_finds_its_row(self, api, issue):
        key, secret = issue()
        issue()
        assert ids(api("get", LIST, {"q": secret})) == [key.public_id]

    @pytest.mark.parametrize(
        "query", [{"state": "odd"}, {"unused": "x" * 10_000}, {"q": "\0"}, {"owner": "9" * 40}]
    )
    def test_odd_filters_break_nothing(self, api, query):
        assert api("get", LIST, query).status_code in (200, 400)

    def test_five_thousand_take_two_queries(
        self, api, bob, django_assert_max_num_queries, many_keys
    ):
        many_keys(5000, owner=bob)
        with django_assert_max_num_queries(6):
            answer = api("get", LIST, {"page_size": 100})
        assert len(ids(answer)) == 100

    def test_as_csv_masked_and_harmless(self, api, issue):
        key, secret = issue(description="=HYPERLINK(1)", quota_micros=CREDIT)
        issue(description="other")
        answer = api("get", f"{LIST}/export", {"q": "HYPER"})
        text = body(answer)
        [row] = list(csv.DictReader(io.StringIO(text)))
        assert (row["id"], row["key"], row["quota"]) == (key.public_id, key.masked, "1")
        assert row["description"] == "'=HYPERLINK(1)"
        assert secret[15:] not in text

    def test_csv_holds_more_than_a_chunk(self, api, many_keys):
        many_keys(2500)
        assert len(body(api("get", f"{LIST}/export")).splitlines()) == 2501

    @pytest.mark.django_db(transaction=True)
    async def test_csv_is_sent_while_it_is_read(self, async_client, alice, many_keys):
        """Under ASGI too, where Django would collect a plain iterator first."""
        await sync_to_async(many_keys)(3)
        await async_client.aforce_login(alice)
        for path in (f"{LIST}/export", "/api-key-admin/export.csv"):
            answer = await async_client.get(path)
            assert answer.is_async, path
            text = b"".join([piece async for piece in answer.streaming_content]).decode()
            assert len(text.splitlines()) == 4


class TestChanging:
    def test_an_edit_tells_what_was_before(self, api, issue):
        key, _ = issue(description="Old", limits={"rpm": 5})
        answer = api("patch", one(key), {"description": "New", "limits": {"rpm": None}})
        assert answer.json()["description"] == "New"
        assert answer.json()["limits"]["rpm"] is None
        entry = AuditEntry.objects.get(action="keys.edit")
        assert entry.before == {"description": "Old", "rpm": 5}
        assert entry.after == {"description": "New", "rpm": None}
        assert entry.subject == f"key {key.public_id}"

    def test_a_quota_below_what_is_used_is_a_conflict(self, api, issue):
        key, _ = issue()
        key.balance.used_micros, key.balance.remaining_micros = 6 * CREDIT, 4 * CREDIT
        key.balance.save()
        answer = api("patch", one(key), {"quota": "5"})
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert not AuditEntry.objects.filter(action="keys.edit").exists()

    def test_switches(self, api, issue):
        key, _ = issue()
        assert api("post", f"{one(key)}/disable").json()["state"] == "paused"
        assert api("post", f"{one(key)}/enable").json()["state"] == "active"
        assert api("post", f"{one(key)}/revoke").json()["state"] == "revoked"
        assert api("post", f"{one(key)}/enable").status_code == 400
        actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
        assert actions == ["keys.disable", "keys.enable", "keys.revoke"]

    def test_deleting_hides_it(self, api, issue):
        key, _ = issue()
        assert api("delete", one(key)).status_code == 204
        assert ids(api("get", LIST)) == []
        assert api("get", one(key)).json()["state"] == "deleted"
        for method, path in (
            ("delete", one(key)),
            ("patch", one(key)),
            ("post", f"{one(key)}/share"),
            ("post", f"{one(key)}/rotate"),
        ):
            assert api(method, path).status_code == 409, path

    def test_a_rotation_shows_the_new_key_once(self, api, issue):
        key, old = issue()
        answer = api("post", f"{one(key)}/rotate", {"overlap_hours": 2}).json()
        key.refresh_from_db()
        assert keys.matches(answer["api_key"], key.digest)
        assert keys.matches(old, key.previous_digest)
        assert answer["previous_until"] is not None
        assert api("post", f"{one(key)}/end-overlap").json()["previous_until"] is None
        assert api("post", f"{one(key)}/rotate", {"overlap_hours": 169}).status_code == 400

    def test_credits_are_given_and_taken(self, api, issue):
        key, _ = issue(quota_micros=CREDIT)
        assert api("post", f"{one(key)}/credits", {"credits": "2.5"}).json()["remaining"] == "3.5"
        assert api("post", f"{one(key)}/credits", {"credits": "-3"}).json()["remaining"] == "0.5"
        assert api("post", f"{one(key)}/credits", {"credits": "-1"}).status_code == 409
        assert api("post", f"{one(key)}/credits", {"credits": "0"}).status_code == 400
        for _ in range(2):
            assert api("post", f"{one(key)}/credits", {"credits": "1e12"}).status_code == 400
        entry = AuditEntry.objects.filter(action="keys.credits").order_by("pk").first()
        assert (entry.before["quota"], entry.after["quota"]) == ("1", "3.5")

    def test_a_share_link(self, api, issue):
        key, _ = issue()
        first = api("post", f"{one(key)}/share").json()["link"]
        assert first.startswith("http://testserver/quota/s/")
        assert api("post", f"{one(key)}/share").json()["link"] == first
        second = api("post", f"{one(key)}/share", {"renew": True}).json()["link"]
        assert links.key_of(first.rpartition("/")[2]) is None
        assert links.key_of(second.rpartition("/")[2]) == key


class TestBatch:
    def test_keys_as_json(self, api):
        answer = api("post", f"{LIST}/batch", {"count": 3, "quota": "1", "description": "Seat"})
        assert answer.status_code == 201
        made = answer.json()
        assert [one["description"] for one in made["keys"]] == ["Seat 1", "Seat 2", "Seat 3"]
        for told in made["keys"]:
            row = ApiKey.objects.get(public_id=told["id"])
            assert keys.matches(told["api_key"], row.digest)
        entry = AuditEntry.objects.get(action="keys.batch")
        assert entry.detail["count"] == 3
        assert made["keys"][0]["api_key"][15:] not in repr(entry.__dict__)

    def test_links_as_csv(self, api):
        asked = {"count": 2, "quota": "1", "hand_out": "claim_links", "answer": "csv"}
        answer = api("post", f"{LIST}/batch", asked)
        assert answer["Cache-Control"] == "no-store"
        rows = list(csv.DictReader(io.StringIO(body(answer))))
        assert len(rows) == 2
        code = rows[0]["claim_link"].rpartition("/claim/")[2]
        key, _ = services.claim_key(code=code)
        assert key.public_id == rows[0]["id"]
        assert set(ids(api("get", LIST, {"state": "waiting"}))) == {rows[1]["id"]}

    def test_a_new_link(self, api):
        asked = {"count": 1, "quota": "1", "hand_out": "claim_links"}
        [made] = api("post", f"{LIST}/batch", asked).json()["keys"]
        answer = api("post", f"{LIST}/{made['id']}/claim-link", {"claim_days": 2})
        assert answer.json()["claim_link"] != made["claim_link"]
        code = answer.json()["claim_link"].rpartition("/")[2]
        services.claim_key(code=code)
        assert api("post", f"{LIST}/{made['id']}/claim-link").status_code == 409
        assert code not in repr(AuditEntry.objects.values())
        assert code not in repr(KeyClaim.objects.values())

    @pytest.mark.parametrize("count", [0, 1001, "many", None])
    def test_counts_have_bounds(self, api, count):
        assert api("post", f"{LIST}/batch", {"count": count, "quota": "1"}).status_code == 400


class TestBulk:
    def test_by_ids(self, api, issue):
        rows = [issue()[0] for _ in range(3)]
        asked = {"action": "disable", "ids": [row.public_id for row in rows[:2]]}
        assert api("post", f"{LIST}/bulk", asked).json() == {"count": 2, "changed": 2}
        assert ids(api("get", LIST, {"state": "active"})) == [rows[2].public_id]
        entry = AuditEntry.objects.get(action="keys.disable")
        assert set(entry.detail["keys"]) == {row.public_id for row in rows[:2]}

    def test_by_filter(self, api, bob, issue):
        key, _ = issue(owner=bob)
        other, _ = issue()
        asked = {"action": "grant", "credits": "5", "filter": {"owner": "bob"}}
        assert api("post", f"{LIST}/bulk", asked).json()["changed"] == 1
        assert api("get", one(key)).json()["quota"] == "15"
        assert api("get", one(other)).json()["quota"] == "10"

    def test_into_a_group(self, api, issue):
        group = Group.objects.create(name="team")
        key, _ = issue()
        asked = {"action": "group", "group": group.pk, "ids": [key.public_id]}
        api("post", f"{LIST}/bulk", asked)
        key.refresh_from_db()
        assert key.group == group

    @pytest.mark.parametrize(
        "asked",
        [
            {"action": "delete"},
            {"action": "delete", "filter": {}},
            {"action": "delete", "filter": {"q": ""}},
            {"action": "delete", "filter": {"q": "  "}},
            {"action": "delete", "filter": {"q": []}},
            {"action": "delete", "filter": {"everything": True}},
            {"action": "delete", "filter": {"state": "odd"}},
            {"action": "delete", "filter": {"q": "a"}, "ids": []},
            {"action": "grant", "filter": {"q": "a"}},
            {"action": "grant", "filter": {"q": "a"}, "credits": "-1"},
            {"action": "group", "filter": {"q": "a"}},
            {"action": "burn", "filter": {"q": "a"}},
            {"action": "delete", "ids": ["' OR 1=1"]},
        ],
    )
    def test_what_says_nothing_means_nothing(self, api, issue, asked):
        key, _ = issue(description="a")
        assert api("post", f"{LIST}/bulk", asked).status_code == 400
        key.refresh_from_db()
        assert key.deleted_at is None

    def test_it_is_counted_first(self, api, issue):
        key, _ = issue(description="a")
        asked = {"action": "delete", "filter": {"q": "a"}, "dry_run": True}
        assert api("post", f"{LIST}/bulk", asked).json() == {"count": 1, "changed": 0}
        asked = {"action": "delete", "filter": {"q": "a"}, "expected": 2}
        assert api("post", f"{LIST}/bulk", asked).status_code == 409
        key.refresh_from_db()
        assert key.deleted_at is None


class TestTemplates:
    def test_made_changed_deleted(self, api):
        answer = api(
            "post", TEMPLATES, {"name": "Trial", "quota": "5", "limits": {"day_credits": "1"}}
        )
        assert answer.status_code == 201, answer.content
        made = answer.json()
        assert (made["quota"], made["limits"]["day_credits"]) == ("5", "1")
        path = f"{TEMPLATES}/{made['id']}"
        assert api("patch", path, {"quota": None}).json()["quota"] is None
        assert api("get", path).json()["name"] == "Trial"
        assert len(api("get", TEMPLATES).json()["results"]) == 1
        assert api("delete", path).status_code == 204
        assert not KeyTemplate.objects.exists()
        entries = list(AuditEntry.objects.order_by("pk"))
        assert [entry.action for entry in entries] == [
            "key-templates.create",
            "key-templates.edit",
            "key-templates.delete",
        ]
        assert (entries[1].before, entries[1].after) == ({"quota": "5"}, {"quota": None})

    def test_null_takes_the_limits_away(self, api):
        made = api("post", TEMPLATES, {"name": "Trial", "limits": {"rpm": 3}}).json()
        answer = api("patch", f"{TEMPLATES}/{made['id']}", {"limits": None}).json()
        assert answer["limits"]["rpm"] is None
        assert api("post", TEMPLATES, {"name": "Free", "limits": None}).json()["limits"] is None

    def test_a_name_is_given_once(self, api):
        api("post", TEMPLATES, {"name": "Trial"})
        answer = api("post", TEMPLATES, {"name": "Trial"})
        assert answer.status_code == 400
        assert "name" in answer.json()


def test_five_thousand_are_changed_at_once(api, many_keys, django_assert_max_num_queries):
    """In few statements, however many they are; the books agree afterwards."""
    many_keys(5000)
    asked = {"action": "grant", "credits": "0.5", "filter": {"q": "seat"}, "expected": 5000}
    with django_assert_max_num_queries(60):
        answer = api("post", f"{LIST}/bulk", asked)
    assert answer.json() == {"count": 5000, "changed": 5000}
    assert prove()[1] == []
