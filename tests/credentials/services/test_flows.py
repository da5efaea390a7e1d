import logging
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from credentials import services, upstream
from credentials.importers import parse
from credentials.models import Contributor, Credential, Flow, StateChange
from credentials.pasted import Step
from credentials.services import flow_job, flows
from credentials.services.flow_rows import Wishes
from credentials.states import Event
from gateway.lib.audit import AuditEntry
from gateway.lib.errors import Conflict, InvalidRequest, RateLimited, Unavailable
from gateway.lib.jobs import Job
from tests.credentials.google import answer_of, code_in, google_behind, person, say_yes
from tests.credentials.samples import api_key, oauth_secret, store_key, store_login

REDIRECT = "http://localhost:7861/auth/callback"
ALICE, BOB = "browser-of-alice", "browser-of-bob"

pytestmark = pytest.mark.django_db


@pytest.fixture
def fake(settings):
    with google_behind(settings) as fake:
        yield fake


def begin(**changes) -> Flow:
    return flows.begin_google(browser=ALICE, redirect_uri=REDIRECT, **changes)


def lend(fake, email="alice@example.org", flow=None, **changes) -> Flow:
    """All the way through."""
    flow = flow or begin(**changes)
    assert flows.accept(flow_id=flow.pk, code=code_in(answer_of(flow, fake, email)), by_state=True)
    return worked(flow)


def worked(flow: Flow) -> Flow:
    flows.see_through_here(flow_id=flow.pk)
    flow.refresh_from_db()
    return flow


def verdicts(flow: Flow) -> list[str]:
    return [told["verdict"] for told in flow.results]


# ------------------------------------------------------------------ the straight way


def test_a_google_account_is_lent_and_tried(fake):
    person(fake)
    flow = lend(
        fake, wishes=Wishes(name="Alice", email="a@example.org", webhook="https://x.example/h")
    )
    assert flow.state == Flow.State.DONE
    (told,) = flow.results
    assert (told["verdict"], told["usable"]) == ("works", True)
    row = Credential.objects.get()
    assert (row.email, row.project_id, row.state) == (
        "alice@example.org",
        "alice-project",
        "active",
    )
    assert row.paused_at is None
    secret = row.secret.open()
    assert secret["refresh_token"].startswith("1//")
    assert secret["client_id"] == flows.settings.GOOGLE_OAUTH_CLIENT_ID
    contributor = Contributor.objects.get()
    assert row.contributor == contributor
    told = AuditEntry.objects.get()
    assert (told.actor, told.action) == (f"contributor {contributor.public_id}", "credentials.lend")
    assert (contributor.name, contributor.email) == ("Alice", "a@example.org")
    assert contributor.webhook.open() == {"url": "https://x.example/h"}


def test_what_the_flow_needed_is_destroyed_when_it_is_over(fake):
    person(fake)
    flow = begin()
    assert {"state", "code_verifier"} <= set(flow.secret.open())
    assert not lend(fake, flow=flow).secret


def test_state_and_verifier_are_long_random_and_not_kept_in_clear():
    flows.settings.GOOGLE_OAUTH_CLIENT_ID = "c"
    one, two = begin(), begin()
    secrets = [flow.secret.open() for flow in (one, two)]
    assert len({secret["state"] for secret in secrets}) == 2
    assert all(len(secret["state"]) >= 43 for secret in secrets)
    assert all(43 <= len(secret["code_verifier"]) <= 128 for secret in secrets)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM credentials_flow")
        rows = str(cursor.fetchall())
    for secret in secrets:
        assert secret["state"] not in rows
        assert secret["code_verifier"] not in rows


def test_two_arrivals_of_one_code_are_one_exchange(fake):
    person(fake)
    flow = begin()
    code = code_in(answer_of(flow, fake))
    assert flows.accept(flow_id=flow.pk, code=code, by_state=True)
    assert not flows.accept(flow_id=flow.pk, code=code)
    worked(flow)
    flow_job.see_through(flow_id=flow.pk)
    assert len([record for record in fake.requests if record.kind == "token"]) == 1
    assert Job.objects.filter(kind="credentials.flow").count() == 1


def test_a_worker_that_died_after_the_exchange_lost_nothing(fake, monkeypatch):
    person(fake)
    flow = begin()
    flows.accept(flow_id=flow.pk, code=code_in(answer_of(flow, fake)), by_state=True)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(flow_job, "_keep", killed)
        with pytest.raises(KeyboardInterrupt):
            flow_job.see_through(flow_id=flow.pk)
    flow_job.see_through(flow_id=flow.pk)
    flow.refresh_from_db()
    assert flow.state == Flow.State.DONE
    assert len([record for record in fake.requests if record.kind == "token"]) == 1


def test_a_second_thing_lent_at_once_in_a_browser_joins_the_same_contributor(fake):
    person(fake)
    first, second = begin(), begin()
    lend(fake, flow=first)
    person(fake, "other@example.org", project="other-project")
    lend(fake, "other@example.org", flow=second)
    assert Contributor.objects.count() == 1
    assert Contributor.objects.get().credentials.count() == 2


# ------------------------------------------------------------------ faults of the exchange


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("invalid_client", "GOOGLE_OAUTH_CLIENT_ID"),
        ("unauthorized_client", "GOOGLE_OAUTH_CLIENT_ID"),
    ],
)
def test_the_operators_fault_is_called_so(fake, scenario, words):
    person(fake)
    fake.script(scenario)
    flow = lend(fake)
    assert (flow.state, flow.step) == (Flow.State.FAILED, Step.EXCHANGING)
    assert words in flow.words
    assert not flow.secret


def test_another_redirect_than_the_consents_is_the_operators_fault(fake):
    person(fake)
    flow = begin()
    code = code_in(answer_of(flow, fake))
    Flow.objects.filter(pk=flow.pk).update(redirect_uri="http://localhost:1/auth/callback")
    flows.accept(flow_id=flow.pk, code=code, by_state=True)
    assert "Desktop app" in worked(flow).words


@pytest.mark.parametrize("scenario", ["oauth_html", "oauth_429"])
def test_a_token_endpoint_that_is_down_loses_nothing(fake, scenario):
    person(fake)
    fake.script(scenario, times=1)
    flow = lend(fake)
    assert (flow.state, flow.step) == (Flow.State.PENDING, Step.EXCHANGING)
    assert "try again" in flow.words
    assert flows.can_be_tried_again(flow)
    assert flows.accept(flow_id=flow.pk)
    assert worked(flow).state == Flow.State.DONE


def test_a_token_endpoint_that_cannot_be_reached_loses_nothing(fake, settings):
    person(fake)
    flow = begin()
    code = code_in(answer_of(flow, fake))
    there, settings.OAUTH_PROXY_URL = settings.OAUTH_PROXY_URL, "http://127.0.0.1:9"
    flows.accept(flow_id=flow.pk, code=code, by_state=True)
    assert worked(flow).state == Flow.State.PENDING
    settings.OAUTH_PROXY_URL = there
    flows.accept(flow_id=flow.pk)
    assert worked(flow).state == Flow.State.DONE


def test_a_slow_token_endpoint_is_waited_for(fake):
    person(fake)
    fake.script("slow_refresh")
    assert lend(fake).state == Flow.State.DONE


@pytest.mark.parametrize("fault", ["used", "expired", "verifier"])
def test_a_code_that_google_does_not_take_any_more_is_final(fake, fault):
    person(fake)
    flow = begin()
    code = code_in(answer_of(flow, fake))
    known = fake.directory.codes[code]
    if fault == "used":
        known.used = True
    elif fault == "expired":
        known.expires_at = 0
    else:
        flow.secret = flow.secret.open() | {"code_verifier": "v" * 64}
        flow.save()
    flows.accept(flow_id=flow.pk, code=code, by_state=True)
    flow = worked(flow)
    assert (flow.state, flow.step) == (Flow.State.FAILED, Step.EXCHANGING)
    assert "Begin again" in flow.words
    assert not flows.accept(flow_id=flow.pk, code=code)


def test_a_code_that_was_pasted_alone_and_cut_off_can_be_pasted_again(fake):
    person(fake)
    flow = begin()
    code = code_in(answer_of(flow, fake))
    flows.accept(flow_id=flow.pk, code=code[:-3])
    flow = worked(flow)
    assert flow.state == Flow.State.PENDING
    assert "a piece of it is missing" in flow.words
    assert not flows.can_be_tried_again(flow)
    flows.accept(flow_id=flow.pk, code=code)
    assert worked(flow).state == Flow.State.DONE


def test_without_a_refresh_token_the_way_out_is_said(fake):
    person(fake)
    fake.script("no_refresh_token")
    flow = lend(fake)
    assert flow.state == Flow.State.FAILED
    assert "https://myaccount.google.com/permissions" in flow.words
    assert not Credential.objects.exists()


def test_a_box_left_empty_on_googles_page_is_said(fake):
    person(fake)
    flow = begin()
    url = flows.consent_url(flow).replace(
        "https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform+", ""
    )
    flows.accept(flow_id=flow.pk, code=code_in(say_yes(url)), by_state=True)
    flow = worked(flow)
    assert (flow.state, flow.step) == (Flow.State.FAILED, Step.CONSENT)
    assert "tick every box" in flow.words


def test_a_key_that_was_rotated_away_meanwhile_is_said(fake, settings):
    flow = begin()
    settings.ENCRYPTION_KEYS = ["0" * 43 + "="]
    assert flows.consent_url(flow) == ""
    flow.refresh_from_db()
    assert flow.state == Flow.State.FAILED
    assert "encryption key" in flow.words


def test_nothing_secret_reaches_the_log_or_the_job(fake, caplog):
    caplog.set_level(logging.DEBUG)
    person(fake)
    fake.script("oauth_html", times=1)
    flow = begin()
    secret = flow.secret.open()
    code = code_in(answer_of(flow, fake))
    flows.accept(flow_id=flow.pk, code=code, by_state=True)
    worked(flow)
    flows.accept(flow_id=flow.pk)
    worked(flow)
    kept = Credential.objects.get().secret.open()
    job = Job.objects.order_by("-created_at").values().first()
    planted = [secret["state"], secret["code_verifier"], secret["client_secret"], code]
    for text in (*planted, kept["refresh_token"], kept["access_token"]):
        ours = [
            r.getMessage() for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))
        ]
        assert text not in "\n".join(ours)
        assert text not in str(job)
        assert text not in flow.words


# ------------------------------------------------------------------ project and verdict


def test_several_projects_are_a_choice_with_the_suggested_one_first(fake):
    person(fake, projects=["zoo", "my-default-one", "third"])
    flow = lend(fake)
    assert flow.state == Flow.State.CHOOSING
    assert flow.projects == ["my-default-one", "zoo", "third"]
    row = Credential.objects.get()
    assert row.paused_at is not None, "a call must not settle the project meanwhile"
    assert not flows.choose_project(flow_id=flow.pk, project="somebody-elses")
    assert flows.choose_project(flow_id=flow.pk, project="third")
    assert not flows.choose_project(flow_id=flow.pk, project="zoo")
    assert worked(flow).state == Flow.State.DONE
    row.refresh_from_db()
    assert row.paused_at is None
    assert row.project_id


def test_no_project_is_set_up_by_google(fake):
    person(fake, project=None, state="not_onboarded", tier="free-tier")
    flow = lend(fake)
    assert flow.state == Flow.State.DONE
    assert Credential.objects.get().project_id.startswith("managed-")


def test_projects_that_may_not_be_listed_do_not_stop_it(fake):
    person(fake)
    fake.script("projects_forbidden")
    assert verdicts(lend(fake)) == ["works"]


@pytest.mark.parametrize(
    ("state", "verdict", "word"),
    [
        ("unsupported_client", "retired by Google for individual accounts", "API key"),
        ("validation_required", "needs verification", "verify"),
    ],
)
def test_what_google_says_of_the_account_is_said_at_once(fake, state, verdict, word):
    person(fake, state=state, project=None)
    flow = lend(fake)
    assert flow.state == Flow.State.DONE
    (told,) = flow.results
    assert told["verdict"] == verdict
    assert word in told["detail"]
    assert not told["usable"]
    row = Credential.objects.get()
    assert row.state == "needs_attention"
    assert row.paused_at is None
    if state == "validation_required":
        assert told["help_url"].startswith("https://accounts.google.com/")


def test_when_google_cannot_be_asked_for_the_project_the_login_is_kept(fake, settings):
    person(fake, projects=["alice-project"])
    settings.CODE_ASSIST_ENDPOINT = "http://127.0.0.1:9"
    flow = lend(fake)
    assert flow.state == Flow.State.DONE
    assert verdicts(flow) == ["unreachable"]
    row = Credential.objects.get()
    assert (row.state, row.paused_at) == ("active", None)


# ------------------------------------------------------------------ the same again


def test_lending_the_same_account_again_reconnects_it_in_place(fake):
    person(fake)
    lend(fake)
    row = Credential.objects.get()
    services.set_state(credential_id=row.pk, event=Event.REVOKED, reason="invalid_grant")
    before = row.secret.open()["refresh_token"]
    lend(fake)
    row = Credential.objects.get()
    assert row.state == "active"
    assert row.secret.open()["refresh_token"] != before


def test_the_owner_of_an_account_gets_it_whoever_lent_it_before(fake):
    """Google has said whose it is; an import by an operator has no contributor, a lost link another."""
    person(fake)
    store_login(email="alice@example.org", project="alice-project")
    flow = lend(fake)
    row = Credential.objects.get()
    assert row.contributor == flow.contributor
    Flow.objects.all().delete()
    again = lend(fake)
    assert Credential.objects.get().contributor == again.contributor != flow.contributor


def test_an_operators_decision_outlives_a_new_login(fake):
    person(fake)
    lend(fake)
    row = Credential.objects.get()
    services.set_state(credential_id=row.pk, event=Event.DISABLED)
    lend(fake)
    row.refresh_from_db()
    assert row.state == "disabled"


def test_reconnecting_keeps_the_row_and_tells_the_history(fake):
    person(fake)
    lend(fake)
    row = Credential.objects.get()
    services.set_state(credential_id=row.pk, event=Event.REVOKED, reason="invalid_grant")
    services.pause(credential_id=row.pk)
    flow = begin(credential_id=row.pk, contributor_id=row.contributor_id)
    lend(fake, flow=flow)
    row.refresh_from_db()
    assert row.state == "active"
    assert row.paused_at is not None, "a contributor's own pause is another matter"
    newest = StateChange.objects.filter(credential=row, event="reconnected").first()
    assert (newest.from_state, newest.to_state, newest.by) == ("expired", "active", "contributor")
    assert verdicts(flow) == ["works"]


def test_reconnecting_brings_back_the_other_projects_of_the_login(fake):
    person(fake, projects=["one", "two"])
    secret = oauth_secret()
    owner = Contributor.objects.create()
    rows = [
        store_login(secret, email="alice@example.org", project=name, contributor_id=owner.pk)
        for name in ("one", "two")
    ]
    for row in rows:
        services.set_state(credential_id=row.pk, event=Event.REVOKED)
    lend(fake, flow=begin(credential_id=rows[0].pk, contributor_id=owner.pk))
    rows = list(Credential.objects.order_by("pk"))
    assert [(row.state, row.project_id) for row in rows] == [("active", "one"), ("active", "two")]
    assert rows[0].fingerprint == rows[1].fingerprint


def test_what_is_reconnected_is_what_was_asked_for_whichever_row_is_older(fake):
    person(fake, projects=["one", "two"])
    owner = Contributor.objects.create()
    older, asked = [
        store_login(email="alice@example.org", project=name, contributor_id=owner.pk)
        for name in ("one", "two")
    ]
    flow = lend(fake, flow=begin(credential_id=asked.pk, contributor_id=owner.pk))
    assert flow.credential == asked
    assert AuditEntry.objects.get().subject == f"credential {older.pk}, {asked.pk}"


def test_reconnecting_with_another_account_is_refused_in_words(fake):
    person(fake)
    lend(fake)
    row = Credential.objects.get()
    before = row.secret.token
    person(fake, "mallory@example.org")
    flow = begin(credential_id=row.pk, contributor_id=row.contributor_id)
    lend(fake, "mallory@example.org", flow=flow)
    assert (flow.state, flow.step) == (Flow.State.FAILED, Step.MATCHING)
    assert "another Google account than before" in flow.words
    assert "alice@example.org" not in flow.words
    row.refresh_from_db()
    assert row.secret.token == before


def test_reconnecting_what_was_taken_back_meanwhile_brings_nothing_back(fake):
    person(fake)
    lend(fake)
    row = Credential.objects.get()
    flow = begin(credential_id=row.pk, contributor_id=row.contributor_id)
    code = code_in(answer_of(flow, fake))
    services.withdraw(credential_id=row.pk)
    flows.accept(flow_id=flow.pk, code=code, by_state=True)
    worked(flow)
    row.refresh_from_db()
    assert row.state == "withdrawn"
    assert not row.secret


# ------------------------------------------------------------------ API keys


def keys(text, **changes) -> Flow:
    return worked(flows.begin_keys(text=text, browser=ALICE, **changes))


def test_keys_in_any_text_are_lent_and_each_gets_its_verdict(fake):
    fake.add_api_key(api_key(1))
    flow = keys(f"mine: {api_key(1)}\nand {api_key(2)}, {api_key(1)}\nAIzatooshort\n")
    assert flow.state == Flow.State.DONE
    works, revoked, unusable = flow.results
    assert (works["verdict"], works["usable"]) == ("works", True)
    assert (revoked["verdict"], revoked["usable"]) == ("revoked", False)
    assert (unusable["verdict"], unusable["credential"]) == ("unusable", 0)
    assert Credential.objects.count() == 2
    assert set(Credential.objects.values_list("contributor", flat=True)) == {flow.contributor_id}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello", "no API key"),
        ('{"type": "service_account", "private_key": "x"}', "service account"),
        ("\n".join(api_key(number) for number in range(51)), "51 keys"),
    ],
)
def test_what_cannot_be_lent_as_a_key_is_said(text, said):
    with pytest.raises(InvalidRequest) as raised:
        keys(text)
    assert said in raised.value.message
    assert not Credential.objects.exists()


def test_a_login_file_is_no_key():
    with pytest.raises(InvalidRequest) as raised:
        keys('{"refresh_token": "1//x", "client_id": "c", "client_secret": "s", "token_uri": "t"}')
    assert "Google account" in raised.value.message


def test_somebody_elses_key_stays_theirs(fake):
    fake.add_api_key(api_key(1))
    fake.add_api_key(api_key(2))
    owner = Contributor.objects.create()
    row = store_key(1, contributor_id=owner.pk)
    with pytest.raises(InvalidRequest) as raised:
        keys(api_key(1))
    assert "somebody else" in raised.value.message
    assert Contributor.objects.count() == 1
    flow = keys(f"{api_key(1)}\n{api_key(2)}")
    assert verdicts(flow) == ["works", "known already"]
    row.refresh_from_db()
    assert row.contributor == owner


def test_a_key_of_an_operators_import_becomes_its_contributors(fake):
    fake.add_api_key(api_key(1))
    row = store_key(1)
    flow = keys(api_key(1))
    row.refresh_from_db()
    assert row.contributor == flow.contributor
    assert verdicts(flow) == ["works"]


def test_ones_own_key_again_is_only_tried_again(fake):
    fake.add_api_key(api_key(1))
    owner = Contributor.objects.create()
    store_key(1, contributor_id=owner.pk)
    assert verdicts(keys(api_key(1), contributor_id=owner.pk)) == ["works"]
    assert Credential.objects.count() == 1


def test_a_key_that_was_taken_back_can_be_lent_again_and_its_receipt_stays(fake):
    fake.add_api_key(api_key(1))
    owner = Contributor.objects.create()
    receipts = []
    for _ in range(2):
        flow = keys(api_key(1), contributor_id=owner.pk)
        assert verdicts(flow) == ["works"]
        row = Credential.objects.exclude(pk__in=receipts).get()
        assert row.secret.open() == {"api_key": api_key(1)}
        assert (row.state, row.withdrawn_at) == ("active", None)
        services.withdraw(credential_id=row.pk)
        receipts.append(row.pk)
    assert {row.state for row in owner.credentials.all()} == {"withdrawn"}
    assert owner.credentials.exclude(secret_destroyed_at=None).count() == 2
    (result,) = services.import_items(items=parse("keys.txt", api_key(1).encode()))
    assert result.outcome is services.Outcome.UNUSABLE


def test_a_receipt_is_not_handed_to_whoever_lends_the_key_next(fake):
    fake.add_api_key(api_key(1))
    owner = Contributor.objects.create()
    row = store_key(1, contributor_id=owner.pk)
    services.withdraw(credential_id=row.pk)
    keys(api_key(1), contributor_id=Contributor.objects.create().pk)
    assert owner.credentials.get() == row
    assert Credential.objects.get(pk=row.pk).state == "withdrawn"


def test_a_new_key_does_not_bring_back_what_was_taken_back_meanwhile():
    row = store_key(1, contributor_id=Contributor.objects.create().pk)
    services.withdraw(credential_id=row.pk)
    with pytest.raises(Conflict):
        flows.begin_new_key(credential=row, text=api_key(2), browser=ALICE)
    assert Credential.objects.get().state == "withdrawn"


def test_a_new_key_takes_the_place_of_the_old(fake):
    fake.add_api_key(api_key(2))
    row = store_key(1, contributor_id=Contributor.objects.create().pk)
    services.set_state(credential_id=row.pk, event=Event.REVOKED)
    flow = worked(flows.begin_new_key(credential=row, text=api_key(2), browser=ALICE))
    row.refresh_from_db()
    assert row.state == "active"
    assert row.secret.open() == {"api_key": api_key(2)}
    assert verdicts(flow) == ["works"]


def test_a_new_key_that_is_an_entry_of_its_own_is_refused():
    row = store_key(1)
    store_key(2)
    with pytest.raises(Conflict):
        flows.begin_new_key(credential=row, text=api_key(2), browser=ALICE)


# ------------------------------------------------------------------ limits and time


def test_so_many_consents_at_once_and_no_more(settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = "c"
    settings.LENDING_MAX_PENDING = 2
    first, _ = begin(), begin()
    with pytest.raises(RateLimited) as raised:
        begin()
    assert 0 < raised.value.retry_after_s <= 600
    Flow.objects.filter(pk=first.pk).update(expires_at=timezone.now())
    begin()


def test_one_address_gets_half_of_the_places(settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = "c"
    settings.LENDING_MAX_PENDING = 4
    first, _ = begin(address="192.0.2.1"), begin(address="192.0.2.1")
    with pytest.raises(RateLimited, match="from your network"):
        begin(address="192.0.2.1")
    begin(address="192.0.2.2")
    Flow.objects.filter(pk=first.pk).update(state=Flow.State.DONE)
    begin(address="192.0.2.1")


def test_so_many_attempts_an_hour_of_an_address(settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = "c"
    settings.LENDING_ATTEMPTS_PER_HOUR = 3
    begin(address="192.0.2.1")
    flows.count_failure(address="192.0.2.1", step=Step.READING)
    begin(address="192.0.2.1")
    with pytest.raises(RateLimited) as raised:
        begin(address="192.0.2.1")
    assert 3500 < raised.value.retry_after_s <= 3600
    begin(address="192.0.2.2")
    Flow.objects.update(created_at=timezone.now() - timedelta(hours=1, seconds=1))
    begin(address="192.0.2.1")


def test_no_attempts_at_all(settings):
    settings.LENDING_ATTEMPTS_PER_HOUR = 0
    with pytest.raises(RateLimited):
        flows.check_attempts("192.0.2.1")


def test_without_an_oauth_client_the_operator_is_named(settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = ""
    with pytest.raises(Unavailable) as raised:
        begin()
    assert "GOOGLE_OAUTH_CLIENT_ID" in raised.value.message


def test_a_flow_lives_ten_minutes(fake):
    person(fake)
    flow = begin()
    code = code_in(answer_of(flow, fake))
    later = timezone.now() + timedelta(minutes=10, seconds=1)
    Flow.objects.filter(pk=flow.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert not flows.accept(flow_id=flow.pk, code=code)
    assert flows.expire_flows(now=later) == 1
    flow.refresh_from_db()
    assert flow.state == Flow.State.FAILED
    assert not flow.secret
    assert "Ten minutes" in flow.words


def test_a_choice_that_nobody_makes_does_not_hold_the_login_back(fake):
    person(fake, projects=["one", "two"])
    flow = lend(fake)
    flows.expire_flows(now=timezone.now() + timedelta(minutes=11))
    flow.refresh_from_db()
    assert flow.state == Flow.State.FAILED
    assert Credential.objects.get().paused_at is None


def test_old_flows_are_forgotten(settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = "c"
    begin()
    flows.count_failure(address="192.0.2.1", step=Step.READING)
    flows.expire_flows(now=timezone.now() + timedelta(days=1, minutes=1))
    assert not Flow.objects.exists()


def test_without_a_worker_the_page_sees_it_through_after_three_seconds(fake):
    person(fake)
    flow = begin()
    flows.accept(flow_id=flow.pk, code=code_in(answer_of(flow, fake)), by_state=True)
    flows.hurry(flow_id=flow.pk)
    flow.refresh_from_db()
    assert flow.state == Flow.State.EXCHANGING
    flows.hurry(flow_id=flow.pk, now=timezone.now() + timedelta(seconds=4))
    flow.refresh_from_db()
    assert flow.state == Flow.State.DONE


def test_a_flow_belongs_to_its_browser(settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = "c"
    flow = begin()
    assert flows.began_in(flow, ALICE)
    assert not flows.began_in(flow, BOB)
    assert not flows.began_in(flow, "")


def test_the_upstream_is_answered_for():
    assert upstream.current() is not None
