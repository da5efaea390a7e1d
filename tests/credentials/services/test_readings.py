"""What follows from a look at the upstream's quota."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from credentials import services, tasks, upstream
from credentials.caps import next_upstream_midnight
from credentials.models import Chore, Credential, ModelState, QuotaReading, StateChange, epoch
from credentials.services.readings import RESERVE, keep_readings
from credentials.states import Event, StateMove
from credentials.upstream import Bucket
from gateway.lib.errors import UpstreamFailed
from gateway.lib.jobs import Job
from tests.credentials.samples import oauth_secret, store_key, store_login

PRO, FLASH, PREVIEW = "gemini-2.5-pro", "gemini-2.5-flash", "gemini-3-pro-preview"
IN_AN_HOUR = timedelta(hours=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def login():
    return store_login(project="project-one")


def bucket(left, model=PRO, *, resets=True, barred=False):
    at = timezone.now() + IN_AN_HOUR if resets else None
    return Bucket(model, left, None, at, barred)


def read(login, *buckets, **kwargs):
    return keep_readings(credential_id=login.pk, buckets=buckets, **kwargs)


def state(model=PRO):
    row = ModelState.objects.filter(model=model).first()
    return (row.state, row.reason) if row else ("active", "")


def reserve(login, percent):
    Credential.objects.filter(pk=login.pk).update(stop_below_percent=percent)


def test_the_newest_reading_replaces_the_older(login):
    read(login, bucket(0.9), bucket(0.5, FLASH, resets=False))
    read(login, bucket(0.8))
    rows = {row.model: row for row in QuotaReading.objects.all()}
    assert {model: row.remaining_fraction for model, row in rows.items()} == {PRO: 0.8, FLASH: 0.5}
    assert rows[FLASH].resets_at is None
    assert state() == ("active", "")


def test_a_contributor_keeps_the_rest(login):
    reserve(login, 20)
    read(login, bucket(0.19), bucket(0.2, FLASH))
    assert state() == ("exhausted", RESERVE)
    assert state(FLASH) == ("active", "")
    until = ModelState.objects.get(model=PRO).until - timezone.now()
    assert IN_AN_HOUR - timedelta(minutes=1) < until < IN_AN_HOUR + timedelta(minutes=1)
    change = StateChange.objects.first()
    assert (change.event, change.reason, change.by) == ("quota", RESERVE, "upkeep")


def test_without_a_named_reset_the_reserve_lasts_until_midnight_in_california(login):
    reserve(login, 20)
    now = time.time()
    read(login, bucket(0.1, resets=False), now=now)
    assert epoch(ModelState.objects.get().until) == next_upstream_midnight(now)


def test_the_reserve_ends_when_there_is_enough_again(login):
    reserve(login, 20)
    read(login, bucket(0.1))
    read(login, bucket(0.95))
    assert state() == ("active", "")
    assert StateChange.objects.first().event == "rested"


def test_a_smaller_reserve_lets_it_serve_again(login):
    reserve(login, 20)
    read(login, bucket(0.1))
    reserve(login, None)
    read(login, bucket(0.1))
    assert state() == ("active", "")


def test_a_rest_that_google_asked_for_is_not_ended(login):
    move = StateMove(
        login.pk, Event.QUOTA, model=PRO, reason="daily_quota", until=time.time() + 7200
    )
    services.apply_verdicts([move])
    read(login, bucket(0.95))
    assert state() == ("exhausted", "daily_quota")


def test_what_is_used_up_rests_before_a_call_meets_it(login):
    read(login, bucket(0.0))
    assert state() == ("exhausted", "daily_quota")
    assert StateChange.objects.first().by == "google"


def test_what_the_account_cannot_use_is_missing_once(login):
    read(login, bucket(0.0, PREVIEW, resets=False, barred=True))
    assert state(PREVIEW) == ("missing", "model_missing")
    read(login, bucket(0.0, PREVIEW, resets=False, barred=True))
    assert StateChange.objects.count() == 1


@pytest.mark.parametrize(
    ("left", "barred", "has"), [(0.9, False, True), (0.0, False, True), (0.0, True, False)]
)
def test_preview_access_shows_in_a_preview_models_bucket(login, left, barred, has):
    read(login, bucket(0.9))
    login.refresh_from_db()
    assert login.preview is None
    read(login, bucket(left, PREVIEW, barred=barred))
    login.refresh_from_db()
    assert login.preview is has


def test_a_broken_credential_is_not_mended_by_a_reading(login):
    reserve(login, 20)
    read(login, bucket(0.1))
    services.apply_verdicts([StateMove(login.pk, Event.ATTENTION, reason="validation_required")])
    read(login, bucket(0.9))
    login.refresh_from_db()
    assert login.state == "needs_attention"


class TestRounds:
    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.fixture
    def google(self, monkeypatch):
        class Scripted:
            asked: list[int] = []
            failure = None

            def quota(self, pk):
                self.asked.append(pk)
                if self.failure:
                    raise self.failure
                return [bucket(0.9)]

        scripted = Scripted()
        scripted.asked = []
        monkeypatch.setattr(upstream, "_upstream", scripted)
        return scripted

    def round(self):
        tasks.read_quotas()
        return Job.objects.get(kind=tasks.read_quotas.name).result

    @pytest.mark.django_db(transaction=True)
    def test_logins_with_a_project_each_some_hours(self, google):
        login = store_login(project="project-one")
        store_login(oauth_secret(refresh_token="1//other"))
        store_key()
        assert self.round() == {"read": 1, "failed": 0}
        assert self.round() == {"read": 0, "failed": 0}
        assert google.asked == [login.pk]
        assert Chore.objects.get().due_at - timezone.now() > timedelta(hours=2)

    @pytest.mark.django_db(transaction=True)
    def test_one_with_a_reserve_is_looked_at_more_often(self, google):
        reserve(store_login(project="project-one"), 20)
        self.round()
        assert Chore.objects.get().due_at - timezone.now() < timedelta(minutes=20)

    @pytest.mark.django_db(transaction=True)
    def test_a_failure_is_tried_again_later(self, google):
        store_login(project="project-one")
        google.failure = UpstreamFailed("Google does not answer.")
        assert self.round() == {"read": 0, "failed": 1}
        assert Chore.objects.get().words == "Google does not answer."

    @pytest.mark.django_db(transaction=True)
    def test_within_the_budget(self, google, settings):
        settings.QUOTA_READINGS_PER_HOUR = 24
        for number in range(6):
            store_login(oauth_secret(refresh_token=f"1//{number}"), project="project-one")
        assert [self.round()["read"] for _ in range(4)] == [2, 2, 2, 0]
        assert len(set(google.asked)) == 6
