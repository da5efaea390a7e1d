"""What all processes together must hold: caps, one trial at a time, one refresh, calls that finish with a taken-back
credential. Eight web processes on PostgreSQL, which hear of changes through Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.e2e.dialects import MODEL, OPENAI, ask, ask_at_once
from tests.e2e.gateway import Gateway
from tests.e2e.processes import eventually
from tests.services import postgres_database, redis_database

WORKERS = 8


@pytest.fixture(scope="module")
def site(tmp_path_factory, google, postgres_url, redis_url):
    """`postgres_url` and `redis_url` say whether there are servers; this site gets databases of its own."""
    with ExitStack() as stack:
        options = {
            "database_url": stack.enter_context(postgres_database()),
            "redis_url": stack.enter_context(redis_database()),
        }
        site = Gateway(tmp_path_factory.mktemp("eight"), google, workers=WORKERS, **options)
        try:
            site.set_up()
            yield site
            leaks = site.leaks()
        finally:
            exit_code = site.stop()
        assert (exit_code, leaks) == (0, [])


@pytest.fixture
def gateway(site, google):
    google.reset()
    google.add_client(*site.oauth_client)
    site.new_log()
    yield site
    site.settled()
    assert "Traceback" not in site.new_log()


@pytest.fixture
def lanes(gateway):
    """A client for each web process."""
    with ExitStack() as stack:
        yield [stack.enter_context(gateway.lane(pid)) for pid in gateway.web_pids()]


def all_at_once(lanes, key, **options):
    """One call to each process, at the same time."""
    with ThreadPoolExecutor(len(lanes)) as threads:
        return list(threads.map(lambda client: ask(client, OPENAI, key, **options), lanes))


@pytest.mark.parametrize("rotating", [False, True])
def test_eight_processes_that_find_a_token_stale_refresh_it_once(gateway, google, lanes, rotating):
    [lent] = gateway.lend("code_assist")
    key = gateway.key()
    google.expire(lent.name)
    google.script("refresh_rotating" if rotating else "refresh_ok", on="token", seconds=1.0)
    answers = all_at_once(lanes, key)
    assert [answer.status_code for answer in answers] == [200] * WORKERS
    assert len(google.refreshes(lent.email)) == 1
    gateway.plant_issued()
    if rotating:
        # The old one is dead: whoever refreshes next has to use the one that was kept.
        google.script("refresh_ok", on="token")
        for token in google.access_tokens(lent.email):
            google.expire(token)
        assert all_at_once(lanes, key)[0].status_code == 200
        assert len(google.refreshes(lent.email)) == 2


def test_a_cap_is_honoured_exactly(gateway, google):
    capped, free = gateway.lend("gemini_api", "gemini_api")
    gateway.hand("limit", credential_id=capped.id, calls_a_day=10)
    gateway.know_all_changes()
    answers = ask_at_once(gateway.url, OPENAI, gateway.key(), 200)
    assert [answer.status_code for answer in answers] == [200] * 200
    served = len(google.calls(credential=capped.name))
    assert served <= 10
    # Capped ones last the day, so the free one takes most; alone it gives exactly what is left.
    gateway.hand("decide", credential_id=free.id, event="disabled")
    gateway.know_all_changes()
    answers = ask_at_once(gateway.url, OPENAI, gateway.key(), 40)
    assert sorted({answer.status_code for answer in answers}) in ([200, 503], [503])
    assert len(google.calls(credential=capped.name)) == 10
    assert gateway.hand("taken", credential_id=capped.id) == 10


def test_a_call_that_is_not_served_does_not_count(gateway, google, lanes):
    capped, other = gateway.lend("gemini_api", "gemini_api")
    gateway.hand("limit", credential_id=capped.id, calls_a_day=1)
    gateway.hand("decide", credential_id=other.id, event="disabled")
    gateway.know_all_changes()
    key = gateway.key()
    google.script("error", error="bad_request", times=1)
    assert ask(lanes[0], OPENAI, key).status_code == 400
    eventually(
        lambda: gateway.hand("taken", credential_id=capped.id) == 0, "the call is given back"
    )
    assert ask(lanes[0], OPENAI, key).status_code == 200
    refused = ask(lanes[0], OPENAI, key)
    assert refused.status_code == 503
    explained = gateway.explained(refused.headers["x-request-id"])
    assert [(a["outcome"], a["reason"]) for a in explained["attempts"]] in (
        [],
        [("skipped", "cap_reached")],
    )


def test_after_a_rest_one_call_of_all_processes_finds_out(gateway, google, lanes):
    resting, other = gateway.lend("gemini_api", "gemini_api")
    key = gateway.key()
    google.script("error", credential=resting.name, error="quota_minute", retry_s=1)

    def rests():
        ask(lanes[0], OPENAI, key)
        return len(google.calls(credential=resting.name)) == 1

    eventually(rests, "the first meets its limit")
    eventually(
        lambda: gateway.hand("states", ids=[resting.id])[0]["models"], "the rest is recorded"
    )
    gateway.know_all_changes()
    # It answers late, so that all the others come while it is being tried.
    google.clear_scripts()
    google.script("silence", credential=resting.name, silence_s=1.0)

    def tried():
        answers = ask_at_once(gateway.url, OPENAI, key, 4 * WORKERS)
        assert {answer.status_code for answer in answers} == {200}
        return google.calls(credential=resting.name)[1:]

    trial, *later = eventually(tried, "its rest is over")
    assert all(call.when > trial.when + 0.9 for call in later)
    eventually(
        lambda: gateway.hand("states", ids=[resting.id])[0]["models"] == {}, "it is known to work"
    )


def test_a_withdrawn_credential_finishes_its_calls_and_says_how_many(gateway, google, lanes):
    [lent] = gateway.lend("gemini_api")
    google.script("slow", count=8, interval_s=0.25)
    with ThreadPoolExecutor(1) as threads:
        answering = threads.submit(ask, lanes[3], OPENAI, gateway.key(), stream=True)
        google.wait_for_calls(1)
        gateway.hand("decide", credential_id=lent.id, event="withdrawn")
        eventually(
            lambda: gateway.hand("draining", credential_id=lent.id) == [1],
            "the process says that it still runs a call",
            5,
        )
        answer = answering.result()
    assert answer.status_code == 200
    assert answer.text.rstrip().endswith("data: [DONE]")
    eventually(
        lambda: gateway.hand("draining", credential_id=lent.id) == [], "nothing runs any more", 5
    )


def test_a_change_reaches_eight_processes_within_a_second(gateway, lanes):
    [lent] = gateway.lend("gemini_api")
    key = gateway.key()
    assert {answer.status_code for answer in all_at_once(lanes, key, model=MODEL)} == {200}
    gateway.hand("decide", credential_id=lent.id, event="disabled")
    eventually(
        lambda: {a.status_code for a in all_at_once(lanes, key)} == {503}, "it is in no pool", 5
    )
