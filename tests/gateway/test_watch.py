"""What hangs ends its worker: which tasks are taken for hanging. A real one is ended in tests/e2e/test_killed_worker.py."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from celery.worker import WorkController
from celery.worker.components import Pool

from gateway import watch
from gateway.celery import app
from gateway.lib import jobs


@pytest.fixture
def now(monkeypatch):
    monkeypatch.setattr(jobs, "_hanging", [])
    return [0.0]


@pytest.fixture
def watched(now):
    return watch.Watch(clock=lambda: now[0])


def task(name="credentials.tasks.prune", time_limit=None):
    conf = SimpleNamespace(task_time_limit=300)
    return SimpleNamespace(name=name, time_limit=time_limit, app=SimpleNamespace(conf=conf))


def test_a_task_within_its_limit_does_not_hang(watched, now):
    watched.begun(task=task())
    now[0] = 300.0
    assert watched.hanging() == []


def test_one_past_its_limit_does(watched, now):
    watched.begun(task=task())
    now[0] = 300.1
    assert watched.hanging() == ["credentials.tasks.prune"]


def test_a_task_may_have_a_limit_of_its_own(watched, now):
    watched.begun(task=task(time_limit=1000))
    now[0] = 999.0
    assert watched.hanging() == []


def test_what_is_over_does_not_hang(watched, now):
    watched.begun(task=task())
    watched.over()
    now[0] = 1e6
    assert watched.hanging() == []


def test_every_thread_is_watched(watched, now):
    """The same message may be in two threads at once."""
    other = threading.Thread(target=watched.begun, kwargs={"task": task("other")})
    watched.begun(task=task())
    other.start()
    other.join()
    watched.over()
    now[0] = 301.0
    assert watched.hanging() == ["other"]


def test_a_job_that_makes_no_step_hangs(watched):
    jobs._hanging.append("credentials.bulk")
    assert watched.hanging() == ["credentials.bulk"]


@pytest.mark.parametrize("way", ["stop", "terminate"])
def test_jobs_are_put_back_before_the_worker_waits_for_its_threads(monkeypatch, way):
    monkeypatch.setattr(jobs, "_stopping", threading.Event())
    blueprint = WorkController.Blueprint(steps=app.steps["worker"])
    started = list(blueprint._finalize_steps(blueprint.claim_steps()))
    # Celery stops the steps in the opposite order.
    assert started.index(watch.PutBack) > started.index(Pool)
    getattr(watch.PutBack(parent=None), way)(None)
    assert jobs._stopping.is_set()
