import json
import time
from datetime import UTC, timedelta

import pytest
from django.utils import timezone

from credentials import services, upstream
from credentials.caps import upstream_day
from credentials.models import (
    Allowance,
    Contributor,
    Credential,
    DailyUse,
    ModelState,
    Notice,
    StateChange,
)
from credentials.services import Event, StateMove
from credentials.states import State
from credentials.upstream import Finding, SetUpResult
from gateway.lib import jobs
from gateway.lib.audit import AuditEntry
from gateway.lib.errors import UpstreamUnreachable
from gateway.lib.jobs import Job
from tests.credentials.samples import (
    ACCESS_TOKEN,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    api_key,
    store_key,
    store_login,
)

pytestmark = pytest.mark.django_db

POOL = "/api/credentials"


def listed(client, query=""):
    answer = client.get(f"{POOL}?{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def ids(client, query=""):
    return [row["id"] for row in listed(client, query)]


def attention(credential, reason, event=Event.ATTENTION):
    services.apply_verdicts([StateMove(credential_id=credential.pk, event=event, reason=reason)])


class Upstream:
    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def check(self, ids):
        self.asked.append(list(ids))
        return [self.answers.get(pk) or Finding(pk, "", "works", True) for pk in ids]

    def set_up(self, pk, project=""):
        self.asked.append((pk, project))
        answer = self.answers["set_up"]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def enable_preview(self, pk):
        return self.answers["preview"]


@pytest.fixture
def google(monkeypatch):
    def use(**answers):
        stand_in = Upstream(**answers)
        monkeypatch.setattr(upstream, "_upstream", stand_in)
        return stand_in

    return use


# Who may


@pytest.mark.parametrize("path", [POOL, f"{POOL}/1", f"{POOL}/summary", "/api/contributors"])
def test_only_those_who_manage_the_pool_read_it(client, max_, stella, olga, path):
    assert client.get(path).status_code == 401
    assert max_.get(path).status_code == 403
    for manager in (stella, olga):
        assert manager.get(path).status_code in (200, 404)


def test_a_member_changes_nothing(max_):
    row = store_key()
    assert max_.patch(f"{POOL}/{row.pk}", {"weight": 2}, format="json").status_code == 403
    assert max_.post(f"{POOL}/{row.pk}/disable").status_code == 403
    bulk = {"action": "disable", "filter": {}}
    assert max_.post(f"{POOL}/bulk", bulk, format="json").status_code == 403
    row.refresh_from_db()
    assert (row.weight, row.state) == (1, State.ACTIVE)


def test_the_panel_password_manages_too(client, settings):
    settings.PANEL_PASSWORD = "let-me-in"
    row = store_key()
    headers = {"authorization": "Bearer let-me-in"}
    answer = client.post(
        f"{POOL}/{row.pk}/disable", content_type="application/json", headers=headers
    )
    assert answer.status_code == 200
    assert StateChange.objects.get(event="disabled").by == "panel-password"


# The list


def test_no_answer_holds_a_secret(stella, olga):
    key, login = store_key(), store_login(email="alice@example.org")
    services.edit(
        credential_id=key.pk, changes={"proxy": "socks5://joe:hush-hush@10.0.0.9:1080"}, by="olga"
    )
    for client in (stella, olga):
        text = "".join(
            client.get(path).content.decode()
            for path in (POOL, f"{POOL}/{key.pk}", f"{POOL}/{login.pk}", f"{POOL}/{key.pk}/history")
        )
        assert "10.0.0.9:1080" in text
        assert "alice@example.org" in text
        key.refresh_from_db()
        for secret in (
            api_key(),
            ACCESS_TOKEN,
            REFRESH_TOKEN,
            CLIENT_SECRET,
            "hush-hush",
            "joe",
            key.secret.token,
            key.proxy.token,
            key.fingerprint,
        ):
            assert secret not in text


def test_a_row_says_in_words_what_is_wrong_and_whose_turn_it_is(stella):
    lender = Contributor.objects.create(name="Ada")
    row = store_login(email="alice@example.org", contributor_id=lender.pk)
    attention(row, "retired_by_google")
    Notice.objects.create(credential=row, kind="needs_attention", words="…")
    (found,) = listed(stella)
    assert found["verdict"] == "retired by Google for individual accounts"
    assert "API key" in found["todo"]
    assert found["who"] == "contributor"
    assert found["usable"] is False
    assert found["contributor"] == {"id": lender.public_id, "name": "Ada"}
    assert found["open_notices"] == 1
    assert found["identity"] == "al…e@example.org"


def test_a_row_tells_todays_use_and_caps(stella):
    row = store_key()
    day = upstream_day(time.time())
    services.edit(credential_id=row.pk, changes={"caps": {"calls_a_day": 5}}, by="olga")
    Allowance.objects.create(credential=row, day=day, scope="", taken=5)
    for status, calls in ((200, 4), (429, 2), (500, 1)):
        DailyUse.objects.create(credential=row, day=day, model="m", status=status, calls=calls)
    DailyUse.objects.create(
        credential=row, day=day - timedelta(days=1), model="m", status=200, calls=99
    )
    (found,) = listed(stella)
    assert (found["served_today"], found["failed_today"]) == (4, 3)
    assert found["errors_today"] == {"429": 2, "500": 1}
    assert found["caps"]["calls_a_day"] == 5
    assert found["taken_today"] == {"": 5}
    assert (found["usable"], found["held_by"]) == (False, "cap")


def test_a_rest_that_is_over_is_none(stella):
    resting, rested = store_key(1), store_key(2)
    past, future = timezone.now() - timedelta(minutes=1), timezone.now() + timedelta(minutes=1)
    for row, until in ((resting, future), (rested, past)):
        Credential.objects.filter(pk=row.pk).update(
            state="cooling", state_reason="rate_limited", state_until=until
        )
    found = {row["id"]: row for row in listed(stella)}
    assert (found[resting.pk]["usable"], found[resting.pk]["verdict"]) == (False, "rate-limited")
    assert (found[rested.pk]["usable"], found[rested.pk]["verdict"]) == (True, "works")
    assert found[resting.pk]["until"] is not None
    assert found[rested.pk]["until"] is None


def test_what_needs_a_person_comes_first(stella):
    works, expired, broken, off = (store_key(number) for number in range(1, 5))
    attention(broken, "suspended")
    attention(expired, "api_key_invalid", Event.REVOKED)
    services.set_state(credential_id=off.pk, event=Event.DISABLED)
    assert ids(stella) == [broken.pk, expired.pk, works.pk, off.pk]
    assert ids(stella, "ordering=id") == [works.pk, expired.pk, broken.pk, off.pk]
    assert stella.get(f"{POOL}?ordering=secret").status_code == 400


@pytest.fixture
def mixed():
    """Six rows by name."""
    ada = Contributor.objects.create(name="Ada Lovelace")
    rows = {
        "plain": store_key(1, label="plain"),
        "adas": store_login(email="ada@example.org", project="p-one", contributor_id=ada.pk),
        "tagged": store_key(2),
        "paused": store_key(3),
        "broken": store_key(4),
        "gone": store_key(5),
    }
    services.edit(credential_id=rows["tagged"].pk, changes={"tags": ["eu", "ü-tag"]}, by="x")
    services.edit(
        credential_id=rows["tagged"].pk, changes={"caps": {"hours_from": 1, "hours_to": 2}}, by="x"
    )
    services.pause(credential_id=rows["paused"].pk)
    attention(rows["broken"], "suspended")
    services.withdraw(credential_id=rows["gone"].pk)
    rows["ada"] = ada
    day = upstream_day(time.time())
    ModelState.objects.create(
        credential=rows["adas"],
        model="gemini-2.5-pro",
        state="exhausted",
        until=timezone.now() + timedelta(hours=1),
    )
    DailyUse.objects.create(credential=rows["adas"], day=day, model="m", status=429, calls=1)
    return rows


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "plain adas tagged paused broken"),
        ("state=withdrawn", "gone"),
        ("provider=code_assist", "adas"),
        ("state=needs_attention&state=withdrawn", "broken gone"),
        ("reason=suspended,none&state=needs_attention", "broken"),
        ("attention=true", "broken"),
        ("attention=false", "plain adas tagged paused"),
        ("usable=true", "plain adas tagged"),
        ("usable=false", "paused broken"),
        ("paused=true", "paused"),
        ("paused=false", "plain adas tagged broken"),
        ("capped=true", "tagged"),
        ("capped=false", "plain adas paused broken"),
        ("tag=eu", "tagged"),
        ("tag=ü-tag", "tagged"),
        ("tag=e", ""),
        ("contributor=none", "plain tagged paused broken"),
        ("model=gemini-2.5-pro", "adas"),
        ("model=gemini-2.5-pro&model_state=cooling", ""),
        ("model=gemini-2.5-pro&model_state=exhausted", "adas"),
        ("error=429", "adas"),
        ("error=500", ""),
        ("q=lovelace", "adas"),
        ("q=p-one", "adas"),
        ("q=PLAIN", "plain"),
        ("used_after=2020-01-01", "adas"),
        ("unused_since=2020-01-01", "plain tagged paused broken"),
        ("created_before=2020-01-01T00:00:00Z", ""),
        ("created_after=2020-01-01T00:00:00Z&provider=code_assist", "adas"),
    ],
)
def test_filters(stella, mixed, query, names):
    found = set(ids(stella, query))
    assert found == {mixed[name].pk for name in names.split()}


def test_a_contributors_own(stella, mixed):
    assert ids(stella, f"contributor={mixed['ada'].public_id}") == [mixed["adas"].pk]


def test_pages_hold_every_row_once(stella):
    rows = {store_key(number).pk for number in range(1, 8)}
    seen = []
    path = f"{POOL}?page_size=3"
    while path:
        page = stella.get(path).json()
        assert page["count"] == 7
        seen += [row["id"] for row in page["results"]]
        path = page["next"]
    assert sorted(seen) == sorted(rows)


# One


def test_the_whole_story_of_one(stella):
    row = store_login(email="alice@example.org")
    day = upstream_day(time.time())
    for back, calls in ((0, 3), (2, 5)):
        DailyUse.objects.create(
            credential=row,
            day=day - timedelta(days=back),
            model="gemini-2.5-pro",
            status=200,
            calls=calls,
            input_tokens=10,
            output_tokens=20,
        )
    DailyUse.objects.create(credential=row, day=day, model="gemini-2.5-pro", status=403, calls=2)
    ModelState.objects.create(
        credential=row,
        model="gemini-3-pro",
        state="missing",
        reason="model_missing",
        until=timezone.now() + timedelta(hours=1),
    )
    row.readings.create(model="gemini-2.5-pro", remaining_fraction=0.25)
    Notice.objects.create(credential=row, kind="needs_attention", words="Do this.")
    found = stella.get(f"{POOL}/{row.pk}").json()
    assert [one["served"] for one in found["days"]] == [5, 3]
    assert found["by_model"] == [
        {
            "model": "gemini-2.5-pro",
            "served": 8,
            "failed": 2,
            "input_tokens": 20,
            "output_tokens": 40,
        }
    ]
    assert found["errors_of_month"] == {"403": 2}
    assert found["models"][0]["verdict"] == "the account does not have the model"
    assert found["readings"][0]["remaining_fraction"] == 0.25
    assert found["notices"][0]["words"] == "Do this."


def test_a_withdrawn_one_is_still_found_by_its_number(stella):
    row = store_key()
    services.withdraw(credential_id=row.pk)
    assert stella.get(f"{POOL}/{row.pk}").json()["state"] == "withdrawn"
    assert stella.get(f"{POOL}/{row.pk + 1}").status_code == 404


def test_the_history_says_which_request_and_who(stella):
    row = store_key()
    move = StateMove(
        credential_id=row.pk, event=Event.ATTENTION, reason="suspended", request_id="req_1"
    )
    services.apply_verdicts([move])
    stella.post(f"{POOL}/{row.pk}/disable")
    newest, older = stella.get(f"{POOL}/{row.pk}/history").json()["results"]
    assert (newest["by"], newest["event"], newest["to_state"]) == ("stella", "disabled", "disabled")
    assert (older["by"], older["request_id"]) == ("google", "req_1")
    assert older["verdict"] == "banned by Google"


# Editing


def test_editing_changes_what_is_given_and_is_audited(stella):
    lender = Contributor.objects.create(name="Ada")
    row = store_key(label="old")
    body = {
        "label": "new",
        "weight": 3,
        "tags": ["eu", "eu", " fast "],
        "proxy": "http://joe:hush@10.0.0.9:3128",
        "caps": {
            "calls_a_day": 100,
            "hours_from": 22,
            "hours_to": 6,
            "hours_zone": "Europe/Berlin",
        },
        "contributor": lender.public_id,
    }
    answer = stella.patch(f"{POOL}/{row.pk}", body, format="json")
    assert answer.status_code == 200, answer.content
    before = row.revision
    row.refresh_from_db()
    assert (row.label, row.weight, row.tags) == ("new", 3, ["eu", "fast"])
    assert row.proxy.open()["url"] == "http://joe:hush@10.0.0.9:3128"
    assert (row.calls_a_day, row.hours_from, row.hours_zone) == (100, 22, "Europe/Berlin")
    assert row.contributor == lender
    assert row.revision > before
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.subject) == (
        "stella",
        "credentials.edit",
        f"credential {row.pk}",
    )
    assert "hush" not in json.dumps(entry.detail)
    assert row.secret.open() == {"api_key": api_key()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight": 0}, "weight"),
        ({"tags": ["a,b"]}, "tag"),
        ({"proxy": "ftp://x"}, "proxy"),
        ({"caps": {"hours_from": 3}}, "hours_to"),
        ({"caps": {"hours_zone": "Mars/Olympus"}}, "Europe/Berlin"),
        ({"caps": {"stop_below_percent": 101}}, "stop_below_percent"),
        ({"caps": {"model_calls_a_day": {"m": -1}}}, "model_calls_a_day"),
        ({"contributor": "nobody"}, "contributor"),
    ],
)
def test_nonsense_is_refused_with_its_field(stella, change, words):
    row = store_key()
    answer = stella.patch(f"{POOL}/{row.pk}", change, format="json")
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not AuditEntry.objects.exists()


def test_what_a_contributor_allows_is_not_widened(stella):
    row = store_key(contributor_id=Contributor.objects.create().pk)
    services.set_limits(credential_id=row.pk, limits={"calls_a_day": 100})
    path = f"{POOL}/{row.pk}"
    answer = stella.patch(path, {"caps": {"calls_a_day": 500}}, format="json")
    assert answer.status_code == 409
    assert "Its contributor allows 100 calls a day" in answer.content.decode()
    assert not AuditEntry.objects.exists()
    assert stella.patch(path, {"caps": {"calls_a_day": 99}}, format="json").status_code == 200


def test_the_second_of_two_editors_is_told(stella, olga):
    row = store_key()
    version = stella.get(f"{POOL}/{row.pk}").json()["version"]
    move = StateMove(credential_id=row.pk, event=Event.RATE, reason="rate_limited", whole=True)
    services.apply_verdicts([move])  # a rest in between is no conflict
    path = f"{POOL}/{row.pk}"
    first = olga.patch(path, {"weight": 2, "version": version}, format="json")
    assert first.status_code == 200
    second = stella.patch(path, {"weight": 5, "version": version}, format="json")
    assert second.status_code == 409
    assert "Somebody else" in second.json()["detail"]
    row.refresh_from_db()
    assert row.weight == 2
    again = stella.patch(path, {"weight": 5, "version": first.json()["version"]}, format="json")
    assert again.status_code == 200


# Actions


def act(client, row, name, body=None):
    return client.post(f"{POOL}/{row.pk}/{name}", body or {}, format="json")


def test_states_that_people_set(stella):
    row = store_key()
    for name, state in (("disable", "disabled"), ("enable", "active")):
        answer = act(stella, row, name)
        assert answer.status_code == 200
        assert answer.json()["credential"]["state"] == state
    assert act(stella, row, "pause").json()["credential"]["held_by"] == "paused"
    assert act(stella, row, "resume").json()["credential"]["held_by"] == ""
    names = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert names == [f"credentials.{name}" for name in ("disable", "enable", "pause", "resume")]


def test_what_makes_no_sense_is_a_conflict_in_words(stella):
    row = store_key()
    assert stella.delete(f"{POOL}/{row.pk}").status_code == 200
    row.refresh_from_db()
    assert (row.state, bool(row.secret)) == (State.WITHDRAWN, False)
    for name in ("enable", "pause"):
        answer = act(stella, row, name)
        assert answer.status_code == 409
        assert answer.json()["code"] == "conflict"
    assert act(stella, store_key(2), "refresh").status_code == 409
    assert act(stella, row, "explode").status_code == 404


def test_a_test_tells_the_verdict(stella, google):
    row = store_key()
    bad = Finding(row.pk, "", "needs licence", False, "Get one.", "https://x.example/help")
    google(**{str(row.pk): bad}).answers = {row.pk: bad}
    answer = act(stella, row, "test").json()
    assert (answer["done"], answer["help_url"]) == (False, "https://x.example/help")
    assert answer["words"] == "needs licence: Get one."


def test_projects_are_looked_for(stella, google):
    row = store_login()
    stand_in = google(set_up=SetUpResult(project="p-two"))
    answer = act(stella, row, "discover_project", {"project": "p-two"}).json()
    assert answer["done"] is True
    assert "p-two" in answer["words"]
    assert stand_in.asked == [(row.pk, "p-two")]
    google(set_up=UpstreamUnreachable("Google cannot be reached."))
    failed = act(stella, row, "discover_project")
    assert (failed.status_code, failed.json()["detail"]) == (502, "Google cannot be reached.")


def test_preview_says_why_not(stella, google):
    google(preview="The account is not eligible.")
    answer = act(stella, store_login(), "enable_preview").json()
    assert (answer["done"], answer["words"]) == (False, "The account is not eligible.")


def test_rests_are_ended_and_nothing_else(stella):
    row, broken = store_key(1), store_key(2)
    soon = time.time() + 3600
    services.apply_verdicts(
        [
            StateMove(credential_id=row.pk, event=Event.RATE, until=soon, whole=True),
            StateMove(credential_id=row.pk, event=Event.QUOTA, model="m", until=soon),
        ]
    )
    attention(broken, "suspended")
    assert act(stella, row, "reset_rests").json()["credential"]["usable"] is True
    assert not ModelState.objects.exclude(state="active").exists()
    act(stella, broken, "reset_rests")
    broken.refresh_from_db()
    assert broken.state == State.NEEDS_ATTENTION


# The pool as a whole


def test_the_summary_says_who_has_to_do_what(stella):
    told = Contributor.objects.create(name="Ada", email="ada@example.org")
    rows = [store_key(number) for number in range(1, 8)]
    Credential.objects.filter(pk=rows[0].pk).update(contributor=told)
    for row in rows[:3]:
        attention(row, "subscription_required")
    attention(rows[3], "suspended")
    services.pause(credential_id=rows[4].pk)
    day = upstream_day(time.time())
    DailyUse.objects.create(credential=rows[5], day=day, model="pro", status=200, calls=1)
    until = timezone.now() + timedelta(hours=1)
    ModelState.objects.create(credential=rows[5], model="pro", state="exhausted", until=until)
    found = stella.get(f"{POOL}/summary").json()
    assert (found["lent"], found["usable"], found["paused"]) == (7, 2, 1)
    licence, banned = found["groups"]
    assert (licence["verdict"], licence["count"], licence["unheard"]) == ("needs licence", 3, 2)
    assert len(listed(stella, licence["query"])) == 3
    assert (banned["verdict"], banned["count"]) == ("banned by Google", 1)
    assert found["models"] == [
        {
            "model": "pro",
            "usable": 1,
            "resting": 1,
            "back_at": until.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        }
    ]


def test_queries_do_not_grow_with_rows(stella, django_assert_max_num_queries):
    for number in range(1, 30):
        store_key(number)
    for path, most in (
        (POOL, 12),
        (f"{POOL}/{Credential.objects.first().pk}", 20),
        (f"{POOL}/summary", 12),
    ):
        with django_assert_max_num_queries(most):
            assert stella.get(path).status_code == 200


# Bulk


def bulk(client, **body):
    return client.post(f"{POOL}/bulk", body, format="json")


def test_all_that_match_are_counted_first_then_done(stella):
    rows = [store_key(number) for number in range(1, 6)]
    for row in rows[:3]:
        attention(row, "retired_by_google")
    asked = {"action": "disable", "filter": {"reason": "retired_by_google"}}
    counted = bulk(stella, **asked, dry_run=True)
    assert (counted.status_code, counted.json()) == (200, {"count": 3, "job": None})
    assert not Job.objects.exists()
    begun = bulk(stella, **asked, expected=3)
    assert begun.status_code == 202
    jobs.run(begun.json()["job"]["id"])
    assert Credential.objects.filter(state="disabled").count() == 3
    entry = AuditEntry.objects.get(action="credentials.bulk")
    assert (entry.detail["does"], entry.detail["count"]) == ("disable", 3)


def test_a_count_that_changed_is_refused(stella):
    rows = [store_key(number) for number in range(1, 4)]
    attention(rows[0], "suspended")
    asked = {"action": "withdraw", "filter": {"attention": True}}
    assert bulk(stella, **asked, dry_run=True).json()["count"] == 1
    attention(rows[1], "suspended")
    answer = bulk(stella, **asked, expected=1)
    assert answer.status_code == 409
    assert "2 credentials" in answer.json()["detail"]
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"action": "disable"}, "ids or a filter"),
        ({"action": "disable", "ids": [1], "filter": {}}, "ids or a filter"),
        ({"action": "disable", "filter": {"stat": "active"}}, "There is no filter"),
        ({"action": "disable", "filter": {"state": "sleepy"}}, "sleepy"),
        ({"action": "explode", "filter": {}}, "explode"),
        ({"action": "add_tag", "filter": {}}, "tag"),
        ({"action": "set_weight", "filter": {}, "params": {"weight": 0}}, "weight"),
        ({"action": "disable", "filter": {}, "params": {"weight": 1}}, "takes none"),
        # What a script sends whose variable was not set, or that guessed a value: it would mean every row.
        ({"action": "disable", "filter": {"tag": ""}}, "would mean all"),
        ({"action": "disable", "filter": {"contributor": None}}, "would mean all"),
        ({"action": "disable", "filter": {"state": []}}, "would mean all"),
        ({"action": "disable", "filter": {"attention": "yes"}}, "would mean all"),
        ({"action": "disable", "filter": {"model_state": "cooling"}}, "which model"),
        ({"action": "disable", "ids": [10**30]}, "ids"),
    ],
)
def test_a_bulk_action_that_is_not_clear_is_refused(stella, body, words):
    store_key()
    answer = bulk(stella, **body)
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not Job.objects.exists()


def test_ids_that_are_gone_are_not_counted(stella):
    row = store_key()
    asked = bulk(stella, action="pause", ids=[row.pk, row.pk + 99], dry_run=True)
    assert asked.json()["count"] == 1


# Export


def test_secrets_leave_for_operators_alone_and_that_is_written_down(stella, olga):
    store_key()
    asked = {"filter": {"provider": "gemini_api"}, "format": "keys"}
    path = f"{POOL}/export"
    assert stella.post(path, asked, format="json").status_code == 403
    answer = olga.post(path, asked, format="json")
    assert answer.status_code == 200
    assert api_key() in answer.getvalue().decode()
    assert answer["Cache-Control"] == "no-store"
    entry = AuditEntry.objects.get()
    assert (entry.actor, "export" in entry.action) == ("olga", True)
    assert olga.post(path, {"format": "keys"}, format="json").status_code == 400
    unclear = {"filter": {"stat": "x"}, "format": "keys"}
    assert olga.post(path, unclear, format="json").status_code == 400


def test_the_schema_has_no_warnings(capsys):
    from django.core.management import call_command

    call_command("spectacular", "--fail-on-warn", "--validate", file="/dev/null")
    assert "Warning" not in capsys.readouterr().err


def test_a_tag_is_another_one_in_another_case(stella):
    """Also on SQLite, whose LIKE knows no case."""
    row = store_key()
    services.edit(credential_id=row.pk, changes={"tags": ["eu"]}, by="x")
    assert stella.get(f"{POOL}?tag=eu").json()["count"] == 1
    assert stella.get(f"{POOL}?tag=EU").json()["count"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"contributor": "a\0b"},
        {"caps": {"calls_a_day": 10**30}},
        {"caps": {"model_calls_a_day": {"a\0b": 1}}},
    ],
)
def test_what_no_database_takes_is_refused(stella, change):
    row = store_key()
    answer = stella.patch(f"{POOL}/{row.pk}", json.dumps(change), content_type="application/json")
    assert answer.status_code == 400
