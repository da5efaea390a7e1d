"""The jobs page and /api/jobs: who sees what, and that what is shown is true."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.services import create_operator
from gateway.dashboard import jobs as shown
from gateway.lib.audit import AuditEntry
from gateway.lib.jobs import Job
from gateway.lib.upkeep import FAILURES

pytestmark = pytest.mark.django_db
REFRESH = "credentials.tasks.refresh_logins"


def person(name, role):
    return User.objects.create_user(name, password="rather-long-words", role=role)


@pytest.fixture
def operator(client):
    user = create_operator(username="alice", password="rather-long-words")
    client.force_login(user)
    return user


@pytest.fixture
def steward():
    return person("bob", "steward")


def job(kind="credentials.bulk", **fields):
    return Job.objects.create(kind=kind, title=f"Some {kind}", **fields)


def upkeep_row(kind=REFRESH, **fields):
    fields = {"state": Job.State.DONE, "started_at": timezone.now()} | fields
    return job(kind, periodic=True, finished_at=timezone.now(), **fields)


def ids(answer):
    return [row["id"] for row in answer.json()["results"]]


class TestApi:
    def test_newest_first_and_in_pages(self, client, operator, django_assert_max_num_queries):
        made = [job(created_at=timezone.now() - timedelta(minutes=age)) for age in range(30)]
        with django_assert_max_num_queries(6):
            answer = client.get("/api/jobs", {"page_size": 10})
        assert answer.json()["count"] == 30
        assert ids(answer) == [str(row.pk) for row in made[:10]]

    def test_filters(self, client, operator):
        failed = job(state=Job.State.FAILED, error="for a reason")
        running = job("credentials.import", state=Job.State.RUNNING)
        row = upkeep_row()
        assert ids(client.get("/api/jobs", {"state": "failed"})) == [str(failed.pk)]
        assert ids(client.get("/api/jobs", {"kind": "credentials.import"})) == [str(running.pk)]
        assert ids(client.get("/api/jobs", {"periodic": "true"})) == [str(row.pk)]
        assert client.get("/api/jobs", {"state": "odd"}).status_code == 400

    def test_stewards_see_what_is_about_credentials(self, client, steward):
        client.force_login(steward)
        mine, other = job(), job("quotas.tasks.prove")
        assert ids(client.get("/api/jobs")) == [str(mine.pk)]
        assert client.get(f"/api/jobs/{other.pk}").status_code == 404
        assert client.post(f"/api/jobs/{other.pk}/cancel").status_code == 404
        assert client.get(f"/api/jobs/{mine.pk}").json()["state"] == "queued"

    @pytest.mark.parametrize(("role", "status"), [("member", 403), (None, 401)])
    def test_others_see_nothing(self, client, role, status):
        if role:
            client.force_login(person("charlie", role))
        row = job()
        for answer in (
            client.get("/api/jobs"),
            client.get(f"/api/jobs/{row.pk}"),
            client.post(f"/api/jobs/{row.pk}/cancel"),
        ):
            assert answer.status_code == status

    def test_cancelling_is_audited(self, client, operator):
        row = job()
        answer = client.post(f"/api/jobs/{row.pk}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        entry = AuditEntry.objects.get(action="jobs.cancel")
        assert (entry.actor, entry.subject) == ("alice", f"job {row.pk}")

    def test_a_running_job_is_asked_to_stop(self, client, operator):
        row = job(state=Job.State.RUNNING)
        answer = client.post(f"/api/jobs/{row.pk}/cancel").json()
        assert (answer["state"], answer["cancel_requested"]) == ("running", True)

    def test_upkeep_is_not_cancelled(self, client, operator):
        answer = client.post(f"/api/jobs/{upkeep_row().pk}/cancel")
        assert answer.status_code == 409
        assert "Upkeep cannot be cancelled" in answer.json()["detail"]

    def test_an_unknown_one_is_404(self, client, operator):
        assert client.get(f"/api/jobs/{uuid.uuid4()}").status_code == 404


class TestPage:
    def test_says_how_far_a_job_is(self, client, operator, django_assert_max_num_queries):
        job(state=Job.State.RUNNING, total=200, done=50, failed=3, actor="bob")
        with django_assert_max_num_queries(8):
            page = re.sub(r"\s+", " ", client.get("/jobs").content.decode())
        assert '<progress max="200" value="50"' in page
        assert "50 of 200" in page
        assert "3 failed" in page
        assert "Cancel" in page

    def test_what_failed_says_why(self, client, operator):
        job(state=Job.State.FAILED, error="Google <cannot> be reached", finished_at=timezone.now())
        assert "Google &lt;cannot&gt; be reached" in client.get("/jobs").content.decode()

    def test_cancel(self, client, operator):
        row = job()
        answer = client.post(f"/jobs/{row.pk}/cancel", follow=True)
        assert "is cancelled" in answer.content.decode()
        row.refresh_from_db()
        assert row.state == Job.State.CANCELLED

    def test_stewards_come_in_and_see_their_part(self, client, steward):
        client.force_login(steward)
        job()
        other = job("quotas.tasks.prove")
        page = client.get("/jobs").content.decode()
        assert "Some credentials.bulk" in page
        assert str(other) not in page
        assert client.post(f"/jobs/{other.pk}/cancel").status_code == 404

    def test_members_do_not(self, client):
        assert client.get("/jobs").status_code == 302
        client.force_login(person("charlie", "member"))
        assert client.get("/jobs").status_code == 403

    def test_older_jobs_are_on_further_pages(self, client, operator):
        for _ in range(shown.A_PAGE + 1):
            job()
        assert "?page=2" in client.get("/jobs").content.decode()


class TestUpkeep:
    def only(self, user, **later):
        [one] = shown.upkeep(user, now=timezone.now() + timedelta(**later))
        return one

    def test_says_when_it_runs_next(self, operator):
        row = upkeep_row(result={"refreshed": 12, "failed": 0})
        one = self.only(operator)
        assert (one.mark, one.result) == ("ok", "12 refreshed")
        assert one.next_at == row.started_at + timedelta(minutes=1)

    def test_a_failure_says_how_often(self, operator):
        upkeep_row(state=Job.State.FAILED, error="Google is down.", params={FAILURES: 3})
        one = self.only(operator)
        assert (one.mark, one.words) == ("fail", "Google is down. (failed 3 times in a row)")

    def test_a_worker_that_is_away_shows(self, operator):
        upkeep_row()
        assert self.only(operator, seconds=100).mark == "ok"
        late = self.only(operator, minutes=10)
        assert (late.mark, late.word) == ("warn", "late")
        assert "is the worker running?" in late.words

    def test_what_fails_comes_first(self, operator):
        upkeep_row()
        bad = upkeep_row("quotas.tasks.prove", state=Job.State.FAILED, error="It fails.")
        assert shown.upkeep(operator)[0].title == str(bad)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({}, ""),
        ({"rests_ended": 3, "failed": 0}, "3 rests ended"),
        ({"outcomes": {"done": 4312, "refused": 2}, "_reached": 5000}, "4,312 done, 2 refused"),
        ({"day": "2026-11-20", "outcomes": {}}, "day: 2026-11-20"),
    ],
)
def test_results_in_words(result, words):
    assert shown.facts(result) == words
