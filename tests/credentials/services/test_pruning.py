from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from credentials import services, tasks
from credentials.caps import upstream_day
from credentials.models import (
    Budget,
    Chore,
    DailyUse,
    Draining,
    Notice,
    ProbeClaim,
    StateChange,
)
from credentials.states import Event, StateMove
from gateway import tasks as gateway_tasks
from gateway.lib.jobs import Job
from tests.credentials.samples import store_key

pytestmark = pytest.mark.django_db


def ago(**time):
    return timezone.now() - timedelta(**time)


def prune():
    tasks.prune()
    return Job.objects.get(kind=tasks.prune.name).result


def test_what_is_old_goes_and_what_is_new_stays(settings):
    settings.USE_RETENTION_DAYS = 30
    key, today = store_key(), upstream_day(time.time())
    for days in (30, 31):
        DailyUse.objects.create(
            credential=key, day=today - timedelta(days=days), model="m", status=200
        )
    for model, hours in (("old", 2), ("new", 0)):
        ProbeClaim.objects.create(credential=key, model=model, until=ago(hours=hours))
    for holder, hours in (("dead", 2), ("alive", 0)):
        Draining.objects.create(holder_id=holder, credential=key, calls=1, at=ago(hours=hours))
    for kind, closed in (("old", ago(days=181)), ("new", ago(days=1)), ("open", None)):
        Notice.objects.create(credential=key, kind=kind, words="x", closed_at=closed)
    for name, days in (("old", 3), ("new", 0)):
        Budget.objects.create(name=name, hour=ago(days=days))
    assert prune() == {
        "days_of_use": 1,
        "probe_claims": 1,
        "draining": 1,
        "notices": 1,
        "budgets": 1,
        "chores": 0,
    }
    assert DailyUse.objects.get().day == today - timedelta(days=30)
    assert ProbeClaim.objects.get().model == "new"
    assert Draining.objects.get().holder_id == "alive"
    assert set(Notice.objects.values_list("kind", flat=True)) == {"new", "open"}
    assert set(prune().values()) == {0}


def test_the_chores_of_what_was_taken_back_go():
    kept, gone = store_key(1), store_key(2)
    for key in (kept, gone):
        Chore.objects.create(credential=key, kind=Chore.Kind.EMAIL, due_at=timezone.now())
    services.set_state(credential_id=gone.pk, event=Event.WITHDRAWN)
    prune()
    assert Chore.objects.get().credential == kept


def test_the_history_stays():
    key = store_key()
    services.apply_verdicts([StateMove(key.pk, Event.REVOKED)])
    StateChange.objects.update(at=ago(days=2000))
    prune()
    assert StateChange.objects.count() == 1


def test_jobs_that_are_long_over_go(settings):
    settings.JOB_RETENTION_DAYS = 30
    Job.objects.create(kind="old", state=Job.State.DONE, finished_at=ago(days=31))
    Job.objects.create(kind="new", state=Job.State.DONE, finished_at=ago(days=29))
    Job.objects.create(kind="waits", created_at=ago(days=100))
    Job.objects.create(kind="upkeep", periodic=True, finished_at=ago(days=100))
    gateway_tasks.prune_jobs()
    kinds = set(Job.objects.values_list("kind", flat=True))
    assert kinds == {"new", "waits", "upkeep", gateway_tasks.prune_jobs.name}


def test_upkeep_is_named_in_the_history():
    key = store_key()
    move = StateMove(key.pk, Event.RATE, until=time.time() + 60, whole=True)
    services.apply_verdicts([move])
    services.apply_verdicts([StateMove(key.pk, Event.RESTED, whole=True)], by="upkeep")
    newest, first = StateChange.objects.all()
    assert (first.event, first.by) == ("rate", "google")
    assert (newest.event, newest.by, newest.to_state) == ("rested", "upkeep", "active")
