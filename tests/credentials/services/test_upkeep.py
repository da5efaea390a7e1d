"""Rounds of upkeep against the strict fake Google, on real threads and the real database."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from credentials import services, tasks
from credentials.caps import UPSTREAM_ZONE, next_upstream_midnight, upstream_day
from credentials.models import Allowance, Chore, Credential, ModelState, StateChange
from credentials.services import chores, upkeep
from credentials.states import Event, StateMove
from gateway.lib.jobs import Job, Run
from gateway.lib.upkeep import FAILURES
from tests.credentials.samples import CLIENT_ID, CLIENT_SECRET, oauth_secret, store_key
from tests.fakes.google import FakeGoogle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def google(settings):
    with FakeGoogle.running() as fake:
        for name in ("OAUTH_PROXY_URL", "GOOGLEAPIS_PROXY_URL", "CODE_ASSIST_ENDPOINT"):
            setattr(settings, name, fake.url)
        settings.RESOURCE_MANAGER_API_URL = settings.SERVICE_USAGE_API_URL = fake.url
        settings.CLOUD_AI_COMPANION_API_URL = settings.GEMINI_API_URL = fake.url
        yield fake


def lend(google, name="bob", *, expires_in=100.0, project="", email="", **account):
    """A login that Google knows and that is stored here."""
    google.add_account(
        access_token=f"ya29.{name}",
        refresh_token=f"1//{name}",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        email=f"{name}@example.com",
        **account,
    )
    secret = oauth_secret(
        access_token=f"ya29.{name}",
        refresh_token=f"1//{name}",
        expires_at=time.time() + expires_in,
    )
    return services.store(
        provider="code_assist", secret=secret, label=name, project=project, email=email
    )


def again(credential):
    return Credential.objects.get(pk=credential.pk)


def result(task):
    task()
    return Job.objects.get(kind=task.name).result


class TestRefresh:
    def test_before_it_expires_and_once(self, google):
        credential = lend(google)
        assert result(tasks.refresh_logins) == {"refreshed": 1, "failed": 0}
        assert again(credential).secret.open()["access_token"] != "ya29.bob"
        assert result(tasks.refresh_logins) == {"refreshed": 0, "failed": 0}
        assert len(google.refreshes()) == 1

    def test_a_strange_row_keeps_no_other_from_its_turn(self, google, caplog):
        strange = lend(google, "strange")
        secret = strange.secret.open() | {"expires_at": "soon"}
        Credential.objects.filter(pk=strange.pk).update(secret=secret)
        others = [lend(google, f"person{number}") for number in range(3)]
        assert result(tasks.refresh_logins) == {"refreshed": 3, "failed": 1}
        assert all(again(row).secret.open()["access_token"] != "" for row in others)
        chore = Chore.objects.get(credential=strange)
        assert (chore.failures, chore.due_at > timezone.now()) == (1, True)
        assert "the log of the worker" in chore.words
        assert "1//" not in caplog.text

    def test_a_round_that_takes_too_long_leaves_the_rest_to_the_next(self, google, monkeypatch):
        lend(google)
        monkeypatch.setattr(chores, "ROUND_S", 0.0)
        assert result(tasks.refresh_logins) == {"refreshed": 0, "failed": 0}
        monkeypatch.undo()
        assert result(tasks.refresh_logins)["refreshed"] == 1

    def test_a_token_with_time_left_is_left_until_then(self, google, settings):
        credential = lend(google, expires_in=3600)
        assert result(tasks.refresh_logins)["refreshed"] == 0
        due = Chore.objects.get(credential=credential).due_at - timezone.now()
        ahead = timedelta(seconds=settings.REFRESH_AHEAD_S)
        assert timedelta(hours=1) - 1.5 * ahead - timedelta(seconds=5) <= due
        assert due <= timedelta(hours=1) - ahead

    def test_several_at_a_time_and_each_at_a_moment_of_its_own(self, google):
        for number in range(12):
            lend(google, f"person{number}")
        assert result(tasks.refresh_logins)["refreshed"] == 12
        due = Chore.objects.values_list("due_at", flat=True)
        assert max(due) - min(due) > timedelta(seconds=10)

    @pytest.mark.parametrize("event", [Event.DISABLED, Event.WITHDRAWN])
    def test_only_what_may_serve(self, google, event):
        services.set_state(credential_id=lend(google).pk, event=event)
        Credential.objects.filter(pk=lend(google, "paused").pk).update(paused_at=timezone.now())
        store_key()
        assert result(tasks.refresh_logins)["refreshed"] == 0
        assert google.refreshes() == []

    def test_a_resting_login_is_kept_fresh(self, google):
        credential = lend(google)
        move = StateMove(credential.pk, Event.QUOTA, until=time.time() + 900, whole=True)
        services.apply_verdicts([move])
        assert result(tasks.refresh_logins)["refreshed"] == 1
        assert again(credential).state == "exhausted"

    def test_what_is_refused_is_expired_and_not_asked_for_again(self, google):
        credential = lend(google)
        google.script("invalid_grant", credential="1//bob")
        result(tasks.refresh_logins)
        assert again(credential).state == "expired"
        Chore.objects.update(due_at=timezone.now())
        result(tasks.refresh_logins)
        assert len(google.refreshes()) == 1

    @pytest.mark.parametrize("scenario", ["oauth_html", "oauth_429"])
    def test_a_failing_token_service_is_tried_later_and_later(self, google, scenario):
        credential = lend(google)
        google.script(scenario)
        pauses = []
        for failures in (1, 2, 3):
            assert result(tasks.refresh_logins) == {"refreshed": 0, "failed": 1}
            chore = Chore.objects.get(credential=credential)
            assert chore.failures == failures
            assert "token service" in chore.words
            pauses.append(chore.due_at - timezone.now())
            result(tasks.refresh_logins)
            Chore.objects.update(due_at=timezone.now())
        assert len(google.refreshes()) == 3
        assert pauses[0] < pauses[1] < pauses[2]
        google.clear_scripts()
        assert result(tasks.refresh_logins) == {"refreshed": 1, "failed": 0}
        assert Chore.objects.get(credential=credential).failures == 0
        assert again(credential).state == "active"

    def test_an_unreadable_secret_is_left_as_it_is(self, google, settings):
        credential = lend(google)
        sealed = again(credential).secret.token
        settings.ENCRYPTION_KEYS = ["GgiAr4TbJ4cKJ2J4jXxWEzUQ8V5QmrXKgGkGuLgNGKg="]
        assert result(tasks.refresh_logins) == {"refreshed": 0, "failed": 1}
        assert again(credential).secret.token == sealed
        assert "ENCRYPTION_KEYS" in Chore.objects.get().words

    def test_ten_thousand_that_are_not_due_cost_one_question(
        self, google, django_assert_max_num_queries
    ):
        ids = [lend(google, f"person{number}").pk for number in range(20)]
        later = timezone.now() + timedelta(hours=1)
        Chore.objects.bulk_create(
            Chore(credential_id=pk, kind=Chore.Kind.REFRESH, due_at=later) for pk in ids
        )
        with django_assert_max_num_queries(12):
            tasks.refresh_logins()


class TestLookUps:
    def test_the_address_of_a_login_that_came_without(self, google):
        credential = lend(google, expires_in=3600)
        lend(google, "known", expires_in=3600, email="known@example.com")
        assert result(tasks.look_up_emails) == {"found": 1, "failed": 0}
        assert again(credential).email == "bob@example.com"
        assert result(tasks.look_up_emails) == {"found": 0, "failed": 0}

    def test_the_project_of_a_login_that_came_without(self, google):
        credential = lend(google, expires_in=3600, tier="standard-tier")
        assert result(tasks.discover_projects) == {"found": 1, "failed": 0}
        assert (again(credential).project_id, again(credential).tier) == (
            "fake-project",
            "standard-tier",
        )

    def test_what_google_retired_is_said_and_not_asked_for_again(self, google):
        credential = lend(google, expires_in=3600, state="unsupported_client")
        assert result(tasks.discover_projects) == {"found": 0, "failed": 1}
        row = again(credential)
        assert (row.state, row.state_reason) == ("needs_attention", "retired_by_google")
        assert "licence" in Chore.objects.get().words
        Chore.objects.update(due_at=timezone.now())
        assert result(tasks.discover_projects) == {"found": 0, "failed": 0}


class TestNewDay:
    @pytest.fixture
    def run(self):
        job = Job(kind="day")

        def once(now):
            job.result = {}
            upkeep.begin_day(Run(job), now=now)
            return job.result

        return once

    def california(self, *when):
        from zoneinfo import ZoneInfo

        return datetime(*when, tzinfo=ZoneInfo(UPSTREAM_ZONE)).timestamp()

    def rest(self, credential, reason, until, now, model=""):
        move = StateMove(
            credential.pk, Event.QUOTA, model=model, reason=reason, until=until, whole=not model
        )
        services.apply_verdicts([move], now=now)

    @pytest.mark.parametrize(
        "day", [(2026, 3, 8), (2026, 6, 1), (2026, 11, 1)], ids=["forward", "summer", "back"]
    )
    def test_guessed_rests_end_at_midnight_in_california(self, run, day):
        before = self.california(*day, 23, 59, 0)
        after = next_upstream_midnight(before)
        assert after - before == 60
        key = store_key()
        self.rest(key, "quota_exhausted", before + 4 * 3600, before)
        self.rest(key, "quota_exhausted", before + 4 * 3600, before, model="gemini-2.5-pro")
        self.rest(key, "daily_quota", after + 7200, before, model="gemini-2.5-flash")
        self.rest(key, "quota_with_reset", after + 7200, before, model="gemini-3-pro")
        assert "rests_ended" not in run(before)
        assert run(after)["rests_ended"] == 2
        key.refresh_from_db()
        assert key.state == "active"
        states = dict(ModelState.objects.values_list("model", "state"))
        assert states == {
            "gemini-2.5-pro": "active",
            "gemini-2.5-flash": "exhausted",
            "gemini-3-pro": "exhausted",
        }
        change = StateChange.objects.filter(model="gemini-2.5-pro").first()
        assert (change.event, change.by) == ("rested", "upkeep")

    def test_what_was_counted_against_caps_goes_a_day_later(self, run):
        key, now = store_key(), self.california(2026, 6, 10, 0, 5)
        run(now - 600)
        today = upstream_day(now)
        for back in range(4):
            Allowance.objects.create(credential=key, day=today - timedelta(days=back), taken=3)
        assert run(now)["allowances_forgotten"] == 2
        assert Allowance.objects.count() == 2

    def test_once_a_day(self, run):
        now = self.california(2026, 6, 10, 0, 5)
        assert "rests_ended" not in run(now - 600)
        assert "rests_ended" in run(now)
        assert "rests_ended" not in run(now + 600)
        assert "rests_ended" in run(now + 24 * 3600)

    def test_a_day_that_failed_is_begun_again(self, monkeypatch):
        tasks.begin_day()
        yesterday = (upstream_day(time.time()) - timedelta(days=1)).isoformat()
        Job.objects.update(params={"day": yesterday})

        def fail(**_):
            raise RuntimeError

        monkeypatch.setattr(upkeep, "end_rests", fail)
        tasks.begin_day()
        monkeypatch.undo()
        assert result(tasks.begin_day)["rests_ended"] == 0

    def test_the_row_remembers_the_day_between_runs(self):
        tasks.begin_day()
        tasks.begin_day()
        job = Job.objects.get(kind=tasks.begin_day.name)
        assert job.params == {"day": upstream_day(time.time()).isoformat(), FAILURES: 0}
        assert "rests_ended" not in job.result


def test_rounds_that_come_together_leave_connections_for_others(monkeypatch):
    """PostgreSQL's are pooled, ten a process: four rounds of four would wait for one another's."""
    monkeypatch.setattr(chores, "_SLOTS", threading.BoundedSemaphore(2))
    at_once, most = threading.Semaphore(0), []

    def work(pk):
        at_once.release()
        most.append(at_once._value)
        time.sleep(0.02)
        at_once.acquire()
        return True

    rounds = [threading.Thread(target=lambda: list(chores._each(work, range(6)))) for _ in range(3)]
    for one in rounds:
        one.start()
    for one in rounds:
        one.join()
    assert (len(most), max(most)) == (18, 2)
