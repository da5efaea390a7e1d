"""Rules by API and by page: who may, what is refused, and what a dry run says."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from apiproxy.models import UpstreamError, VerdictRule
from apiproxy.services import save_rule
from gateway.lib.audit import AuditEntry
from gateway.lib.errors import Conflict
from gateway.lib.models import Revision
from tests.credentials.samples import store_key

pytestmark = pytest.mark.django_db

REST = {"status": 429, "reason": "daily_quota", "action": "rest", "rest_s": 14_400, "position": 5}


def signed_in(client, role):
    user = get_user_model().objects.create_user(role, password="rather-long-words", role=role)
    client.force_login(user)
    return client


@pytest.fixture
def steward(client):
    return signed_in(client, "steward")


@pytest.fixture
def errors():
    lent = store_key("a")
    for number in range(3):
        UpstreamError.objects.create(
            at=timezone.now(),
            request_id=f"req_{number}",
            credential_id=lent.pk,
            provider="gemini_api",
            model="m",
            status=429,
            kind="rate",
            reason="rate_limited",
            message="slow down" if number else "per day",
            judged="cool_down",
            fault="cool_down",
            rest_s=60,
        )
    return lent


def post(client, path, body, method="post"):
    return getattr(client, method)(path, body, content_type="application/json")


def topic():
    return Revision.objects.filter(topic="rules").values_list("number", flat=True).first() or 0


def test_a_rule_is_added_changed_and_deleted_and_the_processes_are_told(steward):
    made = post(steward, "/api/rules", REST)
    assert made.status_code == 201
    number = made.json()["id"]
    assert (added := topic()) > 0
    changed = post(steward, f"/api/rules/{number}", {"rest_s": 60, "note": "short"}, "patch").json()
    assert (changed["rest_s"], changed["status"], changed["note"]) == (60, 429, "short")
    assert added < (edited := topic())
    assert steward.delete(f"/api/rules/{number}").status_code == 204
    assert edited < topic()
    actions = AuditEntry.objects.order_by("pk").values_list("actor", "action", "subject")
    assert list(actions) == [
        ("steward", f"rules.{what}", f"rule {number}") for what in ("add", "change", "delete")
    ]


def test_the_list_ends_with_what_the_environment_sets(steward, settings):
    settings.AUTO_BAN, settings.AUTO_BAN_ERROR_CODES = True, [403]
    late, early = (post(steward, "/api/rules", REST | {"position": n}).json()["id"] for n in (9, 1))
    found = steward.get("/api/rules").json()
    assert [(rule["id"], rule["locked"], rule["status"]) for rule in found] == [
        (early, False, 429),
        (late, False, 429),
        (None, True, 403),
    ]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"action": "disable", "status": 429}, "busy minute"),
        ({"action": "rest", "kind": "client"}, "never a credential's fault"),
        ({"action": "rest"}, "every error"),
        ({"action": "explode", "status": 403}, "explode"),
        ({"action": "next", "provider": "openai"}, "openai"),
        ({"action": "next", "status": "x"}, "integer"),
    ],
)
def test_a_harmful_rule_is_refused_in_words(steward, body, word):
    answer = post(steward, "/api/rules", body)
    assert answer.status_code == 400
    assert word in answer.content.decode()
    assert not VerdictRule.objects.exists()


def test_a_change_that_makes_a_rule_harmful_is_refused_too(steward):
    number = post(steward, "/api/rules", REST).json()["id"]
    body = {"action": "disable", "reason": "", "rest_s": 0}
    answer = post(steward, f"/api/rules/{number}", body, "patch")
    assert answer.status_code == 400
    assert VerdictRule.objects.get().action == "rest"


def test_of_two_who_change_a_rule_the_second_is_told(steward):
    rule = post(steward, "/api/rules", REST).json()
    path = f"/api/rules/{rule['id']}"
    first = {"rest_s": 60, "version": rule["version"]}
    assert post(steward, path, first, "patch").status_code == 200
    second = post(steward, path, {"rest_s": 90, "version": rule["version"]}, "patch")
    assert second.status_code == 409
    assert "Somebody else changed" in second.json()["detail"]
    assert VerdictRule.objects.get().rest_s == 60
    assert AuditEntry.objects.filter(action="rules.change").count() == 1


def test_a_rule_that_was_deleted_does_not_come_back_by_a_change():
    rule = VerdictRule.objects.create(status=429, action="next")
    VerdictRule.objects.get().delete()
    with pytest.raises(Conflict, match="deleted"):
        save_rule(rule=rule)
    assert not VerdictRule.objects.exists()


class TestDryRun:
    def test_a_new_rule(self, steward, errors, django_assert_max_num_queries):
        rule = {"status": 429, "text": "per day", "action": "disable"}
        with django_assert_max_num_queries(8):
            found = post(steward, "/api/rules/dry-run", {"rule": rule}).json()
        assert (found["errors"], found["changed"]) == (3, 1)
        assert found["changes"] == [{"was": "cool_down", "would": "disable", "count": 1}]
        assert found["disabled"] == [{"id": errors.pk, "label": errors.label}]
        [sample] = found["samples"]
        assert (sample["request_id"], sample["message"]) == ("req_0", "per day")
        assert sample["was"] == {"fault": "cool_down", "rest_s": 60, "whole": False, "rule": ""}
        would = {"fault": "disable", "rest_s": 0, "whole": False, "rule": "the new rule"}
        assert sample["would"] == would
        assert not VerdictRule.objects.exists()

    def test_a_changed_one_and_a_deleted_one(self, steward, errors):
        number = post(steward, "/api/rules", REST | {"reason": "", "kind": "rate"}).json()["id"]
        longer = {"rule": REST | {"reason": "", "kind": "rate", "rest_s": 60}, "replaces": number}
        assert post(steward, "/api/rules/dry-run", longer).json()["changed"] == 3
        gone = post(steward, "/api/rules/dry-run", {"deletes": number}).json()
        assert [row["was"]["rest_s"] for row in gone["samples"]] == [14_400] * 3

    def test_when_one_goes_the_next_that_matches_decides(self, steward, errors):
        first = VerdictRule.objects.create(status=429, position=1, action="retry")
        VerdictRule.objects.create(status=429, position=2, action="return", enabled=False)
        VerdictRule.objects.create(status=429, position=3, action="next")
        found = post(steward, "/api/rules/dry-run", {"deletes": first.pk}).json()
        assert found["changes"] == [{"was": "retry", "would": "next_credential", "count": 3}]

    def test_a_whole_set_in_its_order(self, steward, errors):
        some = [
            {"status": 429, "action": "next", "position": 2},
            {"status": 429, "action": "return", "position": 1},
        ]
        found = post(steward, "/api/rules/dry-run", {"rules": some}).json()
        assert found["changes"] == [{"was": "cool_down", "would": "client_fault", "count": 3}]

    def test_a_rule_that_is_off_does_nothing(self, steward, errors):
        off = {"rule": {"status": 429, "action": "next", "enabled": False}}
        assert post(steward, "/api/rules/dry-run", off).json()["changed"] == 0

    @pytest.mark.parametrize("body", [{}, {"deletes": 99}, {"rules": [], "deletes": 1}])
    def test_what_cannot_be_tried(self, steward, body):
        assert post(steward, "/api/rules/dry-run", body).status_code == 400


def test_errors_are_listed_newest_first_and_filtered(
    steward, errors, django_assert_max_num_queries
):
    with django_assert_max_num_queries(6):
        found = steward.get("/api/upstream-errors").json()
    assert found["count"] == 3
    assert [row["request_id"] for row in found["results"]] == ["req_2", "req_1", "req_0"]
    assert steward.get("/api/upstream-errors?status=403").json()["count"] == 0
    assert steward.get(f"/api/upstream-errors?credential_id={errors.pk}").json()["count"] == 3


@pytest.mark.parametrize("asked", ["status=many", f"status={'9' * 30}", "kind=%00", "fault=a%00b"])
def test_a_filter_that_means_nothing_is_refused(steward, errors, asked):
    assert steward.get(f"/api/upstream-errors?{asked}").status_code == 400


@pytest.mark.parametrize("path", ["/api/rules", "/api/upstream-errors"])
def test_members_and_strangers_see_none_of_it(client, path):
    assert client.get(path).status_code in (401, 403)
    assert signed_in(client, "member").get(path).status_code == 403


class TestPage:
    def test_a_stranger_signs_in_first_and_a_member_is_told(self, client):
        assert client.get("/credentials/rules").status_code == 302
        assert signed_in(client, "member").get("/credentials/rules").status_code == 403

    def test_a_rule_is_tried_then_saved(self, steward, errors):
        page = steward.get("/credentials/rules")
        assert "Save it" not in page.content.decode()
        rule = {
            "status": "429",
            "text": "per day",
            "action": "disable",
            "position": "5",
            "enabled": "on",
        }
        tried = steward.post("/credentials/rules", rule).content.decode()
        assert "would have been taken otherwise" in tried
        assert f"({errors.pk})" in tried
        assert not VerdictRule.objects.exists()
        saved = steward.post("/credentials/rules", rule | {"save": "1"}, follow=True)
        assert saved.redirect_chain == [("/credentials/rules", 302)]
        row = VerdictRule.objects.get()
        assert (row.action, row.text, row.rest_s) == ("disable", "per day", 0)
        assert f"Rule {row.pk} is saved" in saved.content.decode()
        assert AuditEntry.objects.get().action == "rules.add"

    def test_a_rule_is_changed_and_deleted(self, steward, errors):
        row = VerdictRule.objects.create(status=429, kind="rate", action="next")
        assert 'value="429"' in steward.get(f"/credentials/rules/{row.pk}").content.decode()
        fields = {"status": "429", "kind": "rate", "action": "retry", "position": "1", "save": "1"}
        steward.post(f"/credentials/rules/{row.pk}", fields)
        row.refresh_from_db()
        assert (row.action, row.enabled) == ("retry", False)
        page = steward.get(f"/credentials/rules/{row.pk}/delete")
        assert VerdictRule.objects.exists()
        assert page.status_code == 200
        steward.post(f"/credentials/rules/{row.pk}/delete")
        assert not VerdictRule.objects.exists()

    def test_nobody_overwrites_what_somebody_did_meanwhile(self, steward):
        row = VerdictRule.objects.create(status=429, action="next")
        path = f"/credentials/rules/{row.pk}"
        read = steward.get(path).context["form"]["version"].value()
        fields = {"status": "429", "action": "retry", "position": "1", "save": "1"}
        assert steward.post(path, fields | {"version": read}).status_code == 302
        late = steward.post(path, fields | {"version": read, "action": "return"})
        assert late.status_code == 400
        assert "Somebody else changed" in late.content.decode()
        assert VerdictRule.objects.get().action == "retry"

    def test_a_harmful_rule_is_refused_on_the_page(self, steward):
        rule = {"status": "429", "action": "disable", "position": "5", "save": "1"}
        page = steward.post("/credentials/rules", rule)
        assert page.status_code == 400
        assert "busy minute" in page.content.decode()
        assert not VerdictRule.objects.exists()

    def test_what_the_environment_sets_is_shown(self, steward, settings):
        settings.AUTO_BAN, settings.AUTO_BAN_ERROR_CODES = True, [403]
        assert "set by the environment" in steward.get("/credentials/rules").content.decode()

    def test_the_page_costs_the_same_however_many_errors_there_are(
        self, steward, errors, django_assert_max_num_queries
    ):
        with django_assert_max_num_queries(8):
            steward.get("/credentials/rules")


def test_the_admin_tells_the_processes_when_rules_go(client):
    users = get_user_model().objects
    client.force_login(users.create_superuser("root", password="rather-long-words"))
    rows = [VerdictRule.objects.create(status=429, action="next").pk for _ in range(2)]
    before = topic()
    client.post(
        "/admin/apiproxy/verdictrule/",
        {"action": "delete_selected", "_selected_action": rows, "post": "yes"},
    )
    assert not VerdictRule.objects.exists()
    assert topic() > before
    assert client.get("/admin/apiproxy/upstreamerror/").status_code == 200
    bad = {"status": "429", "action": "disable", "position": "1", "rest_s": "0"}
    assert "busy minute" in client.post("/admin/apiproxy/verdictrule/add/", bad).content.decode()
