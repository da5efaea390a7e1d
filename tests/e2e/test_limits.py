"""Limits on pace, over four processes together, judged by what reaches the upstream."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import pytest

from tests.e2e.dialects import OPENAI, ask_at_once, error_of
from tests.e2e.gateway import Gateway
from tests.services import postgres_database, redis_database

WORKERS = 4
TEXT = "one two three four five six seven eight"


@pytest.fixture(scope="module", params=["redis", "postgres", "sqlite"])
def site(request, tmp_path_factory, google, postgres_url, redis_url):
    """Where the windows are. `postgres_url` and `redis_url` say whether there are servers; this site gets databases of its own."""
    with ExitStack() as stack:
        options = {"workers": WORKERS, "LIMIT_WAIT_S": "40", "LIMIT_QUEUE_LENGTH": "100"}
        if request.param != "sqlite":
            options["database_url"] = stack.enter_context(postgres_database())
        if request.param == "redis":
            options["redis_url"] = stack.enter_context(redis_database())
        site = Gateway(tmp_path_factory.mktemp(request.param), google, **options)
        try:
            site.set_up()
            yield site
        finally:
            assert site.stop() == 0


@pytest.fixture
def gateway(site, google):
    google.reset()
    site.lend("gemini_api", "gemini_api")
    site.new_log()
    yield site
    site.settled()
    assert site.hand("prove")["wrong"] == []
    assert "Traceback" not in site.new_log()


def limited(gateway, **limits):
    key = gateway.key()
    gateway.hand("limit_key", key=key, **limits)
    return key


def most_at_once(calls):
    """Of the upstream's requests, by when each came and when its answer was over."""
    moments = [(call.when, 1) for call in calls]
    moments += [(call.finished_at, -1) for call in calls if call.finished_at]
    most = now = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most


def test_never_more_calls_at_the_same_time_than_allowed(gateway, google):
    google.script("silence_headers", silence_s=0.05)
    key = limited(gateway, concurrency=3)
    answers = ask_at_once(gateway.url, OPENAI, key, 60)
    assert Counter(answer.status_code for answer in answers) == {200: 60}
    assert len(google.calls()) == 60
    assert most_at_once(google.calls()) <= 3


def test_exactly_as_many_a_minute_as_allowed(gateway, google):
    key = limited(gateway, rpm=30)
    answers = ask_at_once(gateway.url, OPENAI, key, 60)
    assert Counter(answer.status_code for answer in answers) == {200: 30, 429: 30}
    assert len(google.calls()) == 30
    for answer in answers:
        if answer.status_code == 429:
            assert "30 requests a minute" in error_of(answer, OPENAI, 429)["message"]
            assert 30 <= int(answer.headers["retry-after"]) <= 60
    assert gateway.balance(key)["used"] == 60
