"""What comes by two ways at once, or from many people at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from credentials.models import Credential, Flow
from credentials.pasted import Step
from credentials.services import flow_job, flows
from gateway.lib.errors import RateLimited
from tests.credentials.google import answer_of, code_in, google_behind, person

REDIRECT = "http://localhost:7861/auth/callback"
THREADS = 6

pytestmark = pytest.mark.usefixtures("shared_database")


def at_once(do) -> list:
    """What `do` gives, called in many threads at the same moment."""
    ready = Barrier(THREADS)

    def work(_):
        try:
            ready.wait()
            return do()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(work, range(THREADS)))


@pytest.fixture
def fake(settings, monkeypatch):
    # No worker here: the test itself says when the job runs.
    monkeypatch.setattr("gateway.lib.jobs._nudge", lambda job: None)
    with google_behind(settings) as fake:
        yield fake


def test_a_code_that_arrives_by_every_way_at_once_is_exchanged_once(fake):
    person(fake)
    flow = flows.begin_google(browser="b", redirect_uri=REDIRECT)
    code = code_in(answer_of(flow, fake))
    taken = at_once(lambda: flows.accept(flow_id=flow.pk, code=code, by_state=True))
    assert sorted(taken) == [False] * (THREADS - 1) + [True]
    at_once(lambda: flows.see_through_here(flow_id=flow.pk))
    flow.refresh_from_db()
    assert flow.state == Flow.State.DONE
    assert len([record for record in fake.requests if record.kind == "token"]) == 1
    assert Credential.objects.count() == 1


def test_codes_that_are_tried_at_once_are_no_more_than_the_limit(settings):
    settings.LENDING_ATTEMPTS_PER_HOUR = 2

    def guess():
        try:
            with flows.in_turn("192.0.2.1"):
                flows.count_failure(address="192.0.2.1", step=Step.READING)
        except RateLimited:
            return False
        return True

    assert sum(at_once(guess)) == 2


def test_a_job_that_is_run_twice_at_once_stores_one_credential(fake):
    """A lease that ran out while its worker still lived."""
    person(fake)
    flow = flows.begin_google(browser="b", redirect_uri=REDIRECT)
    flows.accept(flow_id=flow.pk, code=code_in(answer_of(flow, fake)), by_state=True)
    secret = flow.secret.open() | {"code": "4/0traded"}
    secret["tokens"] = {
        "refresh_token": "1//r",
        "access_token": "ya29.a",
        "expires_at": 4e9,
        "scopes": [],
    }
    Flow.objects.filter(pk=flow.pk).update(secret=secret)
    flow.refresh_from_db()
    at_once(
        lambda: flow_job._keep(Flow.objects.get(pk=flow.pk), flow.secret.open(), "a@example.org")
    )
    assert Credential.objects.count() == 1
    assert Flow.objects.get(pk=flow.pk).state == Flow.State.CHECKING


def test_the_limit_of_pending_consents_holds_for_many_at_once(fake, settings):
    settings.LENDING_MAX_PENDING = 3

    def begin() -> bool:
        try:
            flows.begin_google(browser="b", redirect_uri=REDIRECT)
        except RateLimited:
            return False
        return True

    assert sum(at_once(begin)) == 3
    assert Flow.objects.count() == 3
