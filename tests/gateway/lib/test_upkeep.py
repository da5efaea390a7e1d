from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.lib.errors import UpstreamFailed
from gateway.lib.jobs import Job
from gateway.lib.upkeep import FAILURES, upkeep

pytestmark = pytest.mark.django_db


def row():
    return Job.objects.get(periodic=True)


def test_each_kind_has_one_row_of_its_newest_run():
    counts = iter([{"refreshed": 3}, {"refreshed": 0}])

    @upkeep("Fresh tokens")
    def work(run):
        run.result(**next(counts))
        return "outcome"

    assert work() == "outcome"
    assert (row().result, row().runs, row().state) == ({"refreshed": 3}, 1, Job.State.DONE)
    work()
    assert (row().result, row().runs, row().title) == ({"refreshed": 0}, 2, "Fresh tokens")
    assert row().kind == f"{__name__}.work"


def test_a_failure_is_told_until_it_went_well_again(caplog):
    failing = [True]

    @upkeep("Fresh tokens")
    def work(run):
        if failing:
            raise UpstreamFailed("Google's token service failed for now")

    work()
    work()
    assert (row().state, row().error) == (
        Job.State.FAILED,
        "Google's token service failed for now",
    )
    assert row().params[FAILURES] == 2
    failing.clear()
    work()
    assert (row().state, row().error, row().params[FAILURES]) == (Job.State.DONE, "", 0)


def test_what_fails_without_words_shows_nothing_of_it(caplog):
    @upkeep("Fresh tokens")
    def work(run):
        raise RuntimeError("1//secret")

    work()
    assert "secret" not in row().error
    assert "log" in row().error


def test_one_runs_at_a_time_whoever_schedules_it():
    runs = []

    @upkeep("Fresh tokens")
    def work(run):
        runs.append(run)
        work()

    work()
    assert len(runs) == 1


def test_a_run_whose_worker_was_killed_does_not_block_the_next():
    runs = []

    @upkeep("Fresh tokens")
    def work(run):
        runs.append(run)
        if len(runs) == 1:
            raise SystemExit

    with pytest.raises(SystemExit):
        work()
    work()
    assert len(runs) == 1
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    work()
    assert len(runs) == 2


def test_it_remembers_from_run_to_run():
    @upkeep("A day begins")
    def work(run):
        run.params["days"] = run.params.get("days", 0) + 1

    work()
    work()
    assert row().params["days"] == 2
