from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from gateway.lib import jobs
from gateway.lib.errors import UpstreamUnreachable
from gateway.lib.jobs import Cancelled, Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def handler(monkeypatch):
    """Registers what a test gives it."""

    def use(work, kind="test.work"):
        monkeypatch.setitem(jobs._handlers, kind, work)

    return use


@pytest.fixture
def queued(handler):
    def make(work=lambda run: None, **fields):
        handler(work)
        return Job.objects.create(kind="test.work", title="Some work", **fields)

    return make


def finished(job):
    jobs.run(str(job.pk))
    job.refresh_from_db()
    return job


def lapse(job, **fields):
    past = timezone.now() - timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).update(lease_until=past, **fields)


def test_a_job_is_run_and_tells_what_came_of_it(queued):
    def work(run):
        run.total(3)
        for number in range(3):
            run.step(failed=number == 1)
        run.result(stored=2)

    job = finished(queued(work))
    assert (job.state, job.total, job.done, job.failed) == (Job.State.DONE, 3, 3, 1)
    assert job.result == {"stored": 2}
    assert job.attempts == 1
    assert job.started_at <= job.finished_at
    assert job.lease_until is None


def test_one_that_is_over_is_not_run_again(queued):
    runs = []
    job = finished(queued(runs.append))
    jobs.run(str(job.pk))
    assert len(runs) == 1


def test_a_failure_that_has_words_says_them(queued):
    def work(run):
        raise UpstreamUnreachable("Google cannot be reached: try again in a minute")

    job = finished(queued(work))
    assert job.state == Job.State.FAILED
    assert job.error == "Google cannot be reached: try again in a minute"


def test_a_failure_without_words_is_logged_and_shows_nothing_of_it(queued, caplog):
    def work(run):
        raise RuntimeError("1//secret-refresh-token")

    job = finished(queued(work))
    assert job.state == Job.State.FAILED
    assert "secret" not in job.error
    assert "log" in job.error
    assert str(job.pk) in caplog.text


def test_what_this_version_does_not_know_fails_in_words(queued):
    job = queued()
    Job.objects.filter(pk=job.pk).update(kind="of.another.version")
    assert "knows no such job" in finished(job).error


def test_a_queued_job_is_cancelled_at_once(queued):
    runs = []
    job = jobs.cancel(queued(runs.append))
    assert job.state == Job.State.CANCELLED
    finished(job)
    assert runs == []


def test_a_running_job_is_cancelled_at_its_next_step(queued, monkeypatch):
    monkeypatch.setattr(jobs, "_TELL_S", 0)

    def work(run):
        run.step()
        assert jobs.cancel(Job.objects.get(pk=job.pk)).state == Job.State.RUNNING
        run.step()
        raise AssertionError("went on")

    job = queued(work)
    assert finished(job).state == Job.State.CANCELLED
    assert job.done == 2


def test_a_finished_job_cannot_be_cancelled(queued):
    assert jobs.cancel(finished(queued())).state == Job.State.DONE


def test_progress_is_not_written_at_every_step(queued, django_assert_max_num_queries):
    def work(run):
        run.total(10_000)
        for _ in range(10_000):
            run.step()

    job = queued(work)
    with django_assert_max_num_queries(40):
        finished(job)
    assert job.done == 10_000


def test_a_job_whose_worker_died_is_taken_up_again(queued):
    done = []

    def dies(run):
        run.total(2)
        done.append(1)
        raise SystemExit

    job = queued(dies)
    with pytest.raises(SystemExit):
        jobs.run(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.RUNNING
    assert jobs._claim(str(job.pk)) is None
    lapse(job)
    jobs._handlers["test.work"] = lambda run: done.append(2)
    assert finished(job).state == Job.State.DONE
    assert (done, job.attempts) == ([1, 2], 2)


def test_who_lost_its_lease_stops_and_changes_nothing(queued):
    def work(run):
        lapse(job)
        jobs._handlers["test.work"] = lambda other: other.result(by="the second")
        jobs.run(str(job.pk))
        run.total(100)
        raise AssertionError("went on")

    job = queued(work)
    assert finished(job).result == {"by": "the second"}
    assert (job.total, job.state) == (0, Job.State.DONE)


def test_a_job_that_kills_its_workers_is_given_up_in_words(queued):
    job = queued(state=Job.State.RUNNING, attempts=jobs.MAX_ATTEMPTS)
    lapse(job)
    jobs.resume()
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "died 5 times" in job.error


def test_a_database_that_is_away_costs_no_job(queued):
    def work(run):
        raise OperationalError("the connection is lost")

    job = finished(queued(work))
    assert job.state == Job.State.RUNNING
    lapse(job)
    jobs._handlers["test.work"] = lambda run: None
    assert finished(job).state == Job.State.DONE


def test_a_worker_that_is_told_to_stop_puts_its_job_back(queued, monkeypatch):
    monkeypatch.setattr(jobs, "_stopping", threading.Event())

    def work(run):
        jobs.put_back_all()
        run.step()
        raise AssertionError("went on")

    job = finished(queued(work))
    assert (job.state, job.lease_until, job.attempts) == (Job.State.QUEUED, None, 0)


class TestNudges:
    @pytest.fixture
    def nudged(self, monkeypatch):
        ids = []
        monkeypatch.setattr(jobs, "_nudge", lambda job: ids.append(job.pk))
        return ids

    def test_the_worker_is_told_when_the_transaction_commits(
        self, nudged, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks() as callbacks:
            job = jobs.enqueue("test.work", title="Some work", params={"ids": [1]}, actor="alice")
            assert nudged == []
        [callback] = callbacks
        callback()
        assert nudged == [job.pk]
        assert (job.params, job.actor, job.state) == ({"ids": [1]}, "alice", Job.State.QUEUED)

    def test_a_lost_message_is_made_up_for_once_in_a_while(self, nudged, queued):
        job = queued(created_at=timezone.now() - timedelta(minutes=1))
        assert (jobs.resume(), jobs.resume()) == (1, 0)
        assert nudged == [job.pk]
        lapse(job)
        assert jobs.resume() == 1

    def test_a_fresh_one_is_left_to_its_message(self, nudged, queued):
        queued()
        assert jobs.resume() == 0

    def test_one_that_is_worked_on_is_left_alone(self, nudged, queued):
        queued(state=Job.State.RUNNING, lease_until=timezone.now() + timedelta(seconds=20))
        assert jobs.resume() == 0

    def test_a_dead_workers_job_is_nudged(self, nudged, queued):
        job = queued(state=Job.State.RUNNING, attempts=1)
        lapse(job)
        assert jobs.resume() == 1
        assert nudged == [job.pk]


@pytest.mark.django_db(transaction=True)
def test_a_step_longer_than_the_lease_keeps_it(handler, monkeypatch):
    monkeypatch.setattr(jobs, "LEASE_S", 0.3)
    leases = []

    def work(run):
        deadline = time.monotonic() + 20
        while len(set(leases)) < 3 and time.monotonic() < deadline:
            leases.append(Job.objects.values_list("lease_until", flat=True).get(pk=run.job.pk))
            time.sleep(0.05)

    handler(work)
    job = Job.objects.create(kind="test.work")
    assert finished(job).state == Job.State.DONE
    assert len(set(leases)) == 3


@pytest.mark.django_db(transaction=True)
def test_what_hangs_keeps_no_lease(handler, monkeypatch):
    monkeypatch.setattr(jobs, "LEASE_S", 0.2)
    monkeypatch.setattr(jobs, "STUCK_S", 0)

    def work(run):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if Job.objects.get(pk=run.job.pk).lease_until < timezone.now():
                raise Cancelled
            time.sleep(0.05)

    handler(work)
    monkeypatch.setattr(jobs, "_hanging", [])
    assert finished(Job.objects.create(kind="test.work")).state == Job.State.CANCELLED
    assert jobs.hanging() == ["test.work"]


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_claims(handler):
    runs = []
    handler(runs.append)
    job = Job.objects.create(kind="test.work")
    start = threading.Barrier(8)

    def worker():
        start.wait()
        jobs.run(str(job.pk))
        connections.close_all()

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 1


def test_one_that_is_put_back_while_it_is_cancelled_is_cancelled(queued):
    job = queued(state=Job.State.RUNNING, attempts=1)
    looks = []

    def put_back_after_the_first(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and not looks:
            looks.append(sql)
            Job.objects.filter(pk=job.pk).update(state=Job.State.QUEUED, attempts=0)
        return result

    with connection.execute_wrapper(put_back_after_the_first):
        jobs.cancel(job)
    assert looks
    assert finished(job).state == Job.State.CANCELLED
