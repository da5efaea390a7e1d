"""The schedule names tasks that exist, each of them is upkeep or the jobs' own, and the documentation lists them all."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from gateway.celery import app

ROOT = Path(__file__).resolve().parents[2]
TASKS = sorted(settings.CELERY_BEAT_SCHEDULE)


@pytest.fixture(scope="module", autouse=True)
def _loaded():
    app.loader.import_default_modules()


@pytest.mark.parametrize("name", TASKS)
def test_a_scheduled_task_exists_and_takes_nothing(name):
    assert app.tasks[name].typing
    app.tasks[name].__header__()


def test_every_task_of_ours_is_scheduled_or_sent_by_something():
    ours = {
        name
        for name in app.tasks
        if name.split(".")[0] in ("gateway", "accounts", "credentials", "quotas", "apiproxy")
    }
    assert ours - set(TASKS) == {"gateway.tasks.run_job", "credentials.tasks.load_environment"}


def test_the_documentation_lists_every_task():
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert [name for name in TASKS if name.rpartition(".")[2] not in text] == []


def test_a_message_may_come_back_only_when_its_task_must_be_over():
    from gateway.settings import celery

    options = celery.CELERY_BROKER_TRANSPORT_OPTIONS
    assert celery.CELERY_TASK_ACKS_LATE
    assert celery.CELERY_TASK_REJECT_ON_WORKER_LOST
    assert options.get("visibility_timeout", 1e9) > celery.CELERY_TASK_TIME_LIMIT
