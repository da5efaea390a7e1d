import time
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from rest_framework.test import APIClient

from credentials import services
from credentials.caps import upstream_day
from credentials.models import Allowance, Contributor, Credential, DailyUse, ModelState
from credentials.services import Event, StateMove, bulk
from credentials.states import State
from gateway.lib.audit import AuditEntry
from gateway.lib.errors import UpstreamUnreachable
from gateway.lib.jobs import Job
from tests.credentials.samples import (
    ACCESS_TOKEN,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    api_key,
    oauth_secret,
    store_key,
    store_login,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def panel(settings):
    """A script with the panel password."""
    settings.PANEL_PASSWORD = "let-me-in"
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer let-me-in")
    return client


def post(client, path, **body):
    return client.post(path, body, format="json")


def used(row, status=200, calls=1, model="gemini-2.5-pro", back=0):
    day = upstream_day(time.time()) - timedelta(days=back)
    DailyUse.objects.create(credential=row, day=day, model=model, status=status, calls=calls)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/creds/status"),
        ("post", "/creds/action"),
        ("post", "/creds/batch-action"),
        ("post", "/creds/fetch-email/x.json"),
        ("post", "/creds/refresh-all-emails"),
        ("get", "/usage/stats"),
        ("get", "/usage/aggregated"),
        ("post", "/usage/update-limits"),
        ("post", "/usage/reset"),
    ],
)
def test_strangers_and_members_are_refused(client, method, path):
    assert getattr(client, method)(path).status_code == 401
    member = APIClient()
    member.force_login(get_user_model().objects.create_user("max"))
    assert getattr(member, method)(path).status_code == 403


def test_the_first_shape_of_the_status_without_its_secrets(panel):
    login = store_login(email="ada@example.org", project="p-one")
    key = store_key()
    used(login, 403, 2)
    used(login, 200, 5)
    services.apply_verdicts(
        [StateMove(credential_id=login.pk, event=Event.ATTENTION, reason="suspended")]
    )
    answer = panel.get("/creds/status")
    files = answer.json()["creds"]
    assert set(files) == {login.name, key.name}
    found = files[login.name]
    assert found["filename"] == login.name
    assert found["user_email"] == "ada@example.org"
    assert found["status"]["disabled"] is True
    assert found["status"]["error_codes"] == [403]
    assert found["status"]["last_success"] < time.time()
    assert found["content"]["project_id"] == "p-one"
    assert set(found["content"]) == {
        "client_id",
        "client_secret",
        "token",
        "refresh_token",
        "project_id",
    }
    assert files[key.name]["status"]["disabled"] is False
    assert files[key.name]["status"]["last_success"] is None
    for secret in (ACCESS_TOKEN, REFRESH_TOKEN, CLIENT_SECRET, api_key()):
        assert secret not in answer.content.decode()


def test_the_later_shape_is_a_page_with_filters(panel):
    rows = [store_key(number) for number in range(1, 5)]
    services.set_state(credential_id=rows[0].pk, event=Event.DISABLED)
    used(rows[1], 429)
    until = timezone.now() + timedelta(hours=1)
    ModelState.objects.create(credential=rows[2], model="m", state="exhausted", until=until)

    def names(query):
        found = panel.get(f"/creds/status?{query}").json()
        return [item["filename"] for item in found["items"]]

    page = panel.get("/creds/status?offset=1&limit=2").json()
    assert [item["filename"] for item in page["items"]] == [rows[1].name, rows[2].name]
    assert (page["total"], page["offset"], page["limit"], page["has_more"]) == (4, 1, 2, True)
    assert page["stats"] == {"total": 4, "normal": 3, "disabled": 1}
    assert page["items"][1]["model_cooldowns"] == {"m": pytest.approx(until.timestamp())}
    assert names("status_filter=disabled") == [rows[0].name]
    assert names("status_filter=enabled&limit=2") == [rows[1].name, rows[2].name]
    assert names("error_code_filter=429") == [rows[1].name]
    assert names("cooldown_filter=in_cooldown") == [rows[2].name]
    assert names("cooldown_filter=no_cooldown") == [rows[at].name for at in (0, 1, 3)]
    assert panel.get("/creds/status?limit=0").status_code == 400


def test_one_is_enabled_disabled_and_deleted(panel):
    row = store_key()
    for action, state in (
        ("disable", State.DISABLED),
        ("enable", State.ACTIVE),
        ("delete", State.WITHDRAWN),
    ):
        answer = post(panel, "/creds/action", filename=f"creds/{row.name}", action=action)
        assert answer.status_code == 200
        assert row.name in answer.json()["message"]
        state_now = Credential.objects.get(pk=row.pk).state
        assert state_now == state
    assert not Credential.objects.get(pk=row.pk).secret
    assert AuditEntry.objects.filter(actor="panel-password").count() == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"filename": "nobody.json", "action": "enable"}, 404),
        ({"filename": "../../etc/passwd", "action": "delete"}, 404),
        ({"filename": "x.json", "action": "explode"}, 400),
        ({"action": "enable"}, 400),
    ],
)
def test_an_action_on_nothing(panel, body, status):
    answer = post(panel, "/creds/action", **body)
    assert answer.status_code == status
    assert answer.json()


def test_many_at_once_with_those_that_are_not_there(panel):
    rows = [store_key(number) for number in range(1, 4)]
    names = [rows[0].name, "nobody.json", f"/app/creds/{rows[1].name}"]
    answer = post(panel, "/creds/batch-action", action="disable", filenames=names).json()
    assert (answer["success_count"], answer["total_count"]) == (2, 3)
    assert answer["errors"] == ["nobody.json: no such file"]
    assert "nobody.json" in answer["message"]
    states = Credential.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["disabled", "disabled", "active"]
    post(panel, "/creds/batch-action", action="delete", filenames=[rows[2].name])
    assert Credential.objects.get(pk=rows[2].pk).state == State.WITHDRAWN
    assert post(panel, "/creds/batch-action", action="enable", filenames=[]).status_code == 400


@pytest.fixture
def google(monkeypatch):
    """Tells the address of the logins whose project is known to it."""
    addresses = {}

    def look_up(*, credential_id):
        row = Credential.objects.get(pk=credential_id)
        if (found := addresses.get(row.project_id)) is None:
            raise UpstreamUnreachable("Google cannot be reached.")
        Credential.objects.filter(pk=row.pk).update(email=found)
        row.email = found
        return row

    monkeypatch.setattr(services, "look_up_email", look_up)
    return addresses


def logins(*projects):
    return [
        store_login(oauth_secret(refresh_token=f"1//made-up-token-{project}"), project=project)
        for project in projects
    ]


def test_addresses_are_looked_up(panel, google):
    known, unknown = logins("p-1", "p-2")
    google["p-1"] = "ada@example.org"
    answer = panel.post(f"/creds/fetch-email/{known.name}")
    assert (answer.status_code, answer.json()["user_email"]) == (200, "ada@example.org")
    answer = panel.post(f"/creds/fetch-email/{unknown.name}")
    assert (answer.status_code, answer.json()["user_email"]) == (400, None)
    assert answer.json()["message"] == "Google cannot be reached."
    assert panel.post("/creds/fetch-email/nobody.json").status_code == 404
    assert panel.post(f"/creds/fetch-email/{store_key().name}").status_code == 400
    all_of_them = panel.post("/creds/refresh-all-emails").json()
    assert (all_of_them["success_count"], all_of_them["total_count"]) == (0, 1)
    assert all_of_them["results"] == [
        {
            "filename": unknown.name,
            "user_email": None,
            "success": False,
            "error": "Google cannot be reached.",
        }
    ]


def test_what_takes_too_long_goes_on_as_a_job(panel, google, monkeypatch):
    rows = logins("p-1", "p-2", "p-3")
    google["p-1"] = "ada@example.org"
    monkeypatch.setattr("credentials.views.older_creds._LOOK_UPS_S", -1)
    answer = panel.post("/creds/refresh-all-emails").json()
    assert (answer["success_count"], answer["total_count"]) == (0, 3)
    job = Job.objects.get(kind=bulk.KIND)
    assert job.params["action"] == "lookup_email"
    assert job.total == len(rows)


# Counters


def test_counters_of_the_day(panel):
    capped, free = store_key(1), store_key(2)
    for row in (capped, free):
        used(row, 200, 3)
        used(row, 200, 2, model="gemini-2.5-flash")
        used(row, 429, 9)
        used(row, 200, 50, back=1)
    post(panel, "/usage/update-limits", filename=capped.name, total_limit=10)
    Allowance.objects.create(credential=capped, day=upstream_day(time.time()), taken=6)
    found = panel.get("/usage/stats").json()
    assert found["success"] is True
    assert found["data"][free.name] | {"next_reset_time": ""} == {
        "gemini_2_5_pro_calls": 3,
        "total_calls": 5,
        "calls_24h": 5,
        "daily_limit_gemini_2_5_pro": None,
        "daily_limit_total": None,
        "next_reset_time": "",
    }
    assert found["data"][capped.name]["total_calls"] == 6
    assert found["data"][capped.name]["daily_limit_total"] == 10
    one = panel.get(f"/usage/stats?filename={free.name}").json()["data"]
    assert (one["filename"], one["total_calls"]) == (free.name, 5)
    assert panel.get("/usage/stats?filename=nobody.json").status_code == 404
    together = panel.get("/usage/aggregated").json()["data"]
    assert together["total_files"] == 2
    assert together["total_all_model_calls"] == 11
    assert together["total_gemini_2_5_pro_calls"] == 6
    assert together["avg_total_per_file"] == 5.5
    assert together["next_reset_time"]


def test_limits_are_the_credentials_caps(panel):
    row = store_key()
    answer = post(
        panel, "/usage/update-limits", filename=row.name, gemini_2_5_pro_limit=50, total_limit=200
    )
    assert answer.json()["success"] is True
    row.refresh_from_db()
    assert row.calls_a_day == 200
    assert row.caps.limits("gemini-2.5-pro-preview-06-05") == (("", 200), ("gemini-2.5-pro*", 50))
    post(panel, "/usage/update-limits", filename=row.name, total_limit=300)
    row.refresh_from_db()
    assert (row.calls_a_day, row.model_calls_a_day) == (300, {"gemini-2.5-pro*": 50})
    nothing = post(panel, "/usage/update-limits", filename=row.name, total_limit=0)
    assert nothing.status_code == 400


def test_limits_are_no_wider_than_a_contributor_allows(panel):
    row = store_key(contributor_id=Contributor.objects.create().pk)
    services.set_limits(credential_id=row.pk, limits={"calls_a_day": 100})
    wide = post(panel, "/usage/update-limits", filename=row.name, total_limit=101)
    assert wide.status_code == 409
    assert "Its contributor allows 100 calls a day" in wide.content.decode()
    post(panel, "/usage/update-limits", filename=row.name, total_limit=99)
    row.refresh_from_db()
    assert row.calls_a_day == 99


def test_a_reset_never_widens_what_a_contributor_allowed(panel):
    own, lent = store_key(1), store_key(2, contributor_id=Contributor.objects.create().pk)
    for row in (own, lent):
        Allowance.objects.create(credential=row, day=upstream_day(time.time()), taken=6)
    used(own, 200, 6)
    before = Credential.objects.get(pk=own.pk).revision
    answer = post(panel, "/usage/reset")
    assert answer.json()["success"] is True
    assert list(Allowance.objects.values_list("credential", flat=True)) == [lent.pk]
    assert Credential.objects.get(pk=own.pk).revision > before
    assert DailyUse.objects.get().calls == 6
    assert post(panel, "/usage/reset", filename="nobody.json").status_code == 404


def test_queries_do_not_grow(panel, django_assert_max_num_queries):
    for number in range(1, 30):
        used(store_key(number))
    for path in ("/creds/status", "/creds/status?limit=20", "/usage/stats", "/usage/aggregated"):
        with django_assert_max_num_queries(10):
            assert panel.get(path).status_code == 200


def test_deleting_many_is_left_to_a_job(panel, monkeypatch):
    """In one transaction it would keep every other writer of the pool waiting."""
    monkeypatch.setattr("credentials.views.older_creds._WITHDRAWN_AT_ONCE", 2)
    rows = [store_key(number) for number in range(3)]
    names = [row.name for row in rows]
    answer = post(panel, "/creds/batch-action", action="delete", filenames=names).json()
    assert answer["success_count"] == 3
    job = Job.objects.get(kind=bulk.KIND)
    assert str(job.pk) in answer["message"]
    assert (job.total, job.actor) == (3, "panel-password")


@pytest.mark.parametrize("field", ["total_limit", "gemini_2_5_pro_limit"])
def test_a_limit_beyond_every_number_is_refused(panel, field):
    row = store_key()
    answer = post(panel, "/usage/update-limits", filename=row.name, **{field: 10**30})
    assert answer.status_code == 400
