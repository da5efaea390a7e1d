from __future__ import annotations

import pytest

from apiproxy.rate_headers import of_granted, of_refused
from quotas.limiter import Granted, Refused, Room, tightest

GRANTED = Granted(requests=Room(30, 29, 60.0), tokens=Room(1000, 400, 6.2))


def test_as_openai_names_it():
    for dialect in ("openai-chat", "gemini", "simple"):
        assert dict(of_granted(GRANTED, dialect, 0.0)) == {
            b"x-ratelimit-limit-requests": b"30",
            b"x-ratelimit-remaining-requests": b"29",
            b"x-ratelimit-reset-requests": b"1m0s",
            b"x-ratelimit-limit-tokens": b"1000",
            b"x-ratelimit-remaining-tokens": b"400",
            b"x-ratelimit-reset-tokens": b"6s",
        }


def test_as_anthropic_names_it():
    assert dict(of_granted(GRANTED, "anthropic-messages", 1_800_000_000.0)) == {
        b"anthropic-ratelimit-requests-limit": b"30",
        b"anthropic-ratelimit-requests-remaining": b"29",
        b"anthropic-ratelimit-requests-reset": b"2027-01-15T08:01:00Z",
        b"anthropic-ratelimit-tokens-limit": b"1000",
        b"anthropic-ratelimit-tokens-remaining": b"400",
        b"anthropic-ratelimit-tokens-reset": b"2027-01-15T08:00:06Z",
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, b"0s"), (59.4, b"59s"), (62.0, b"1m2s"), (3605.0, b"1h0m5s"), (86399.0, b"23h59m59s")],
)
def test_spans(seconds, text):
    headers = dict(of_granted(Granted(requests=Room(1, 0, seconds)), "openai-chat", 0.0))
    assert headers[b"x-ratelimit-reset-requests"] == text


def test_what_does_not_limit_is_not_named():
    assert of_granted(Granted(), "openai-chat", 0.0) == []


def test_of_several_scopes_the_tightest_counts():
    few, many = Room(100, 2, 60.0), Room(10, 9, 60.0)
    assert tightest(few, many) == few
    assert tightest(None, many) == many
    # Of equally little what takes longer to come back.
    assert tightest(Room(5, 0, 60.0), Room(5, 0, 3600.0)) == Room(5, 0, 3600.0)


def test_a_refusal_names_what_refused():
    headers = dict(of_refused(Refused("k1", "rpd", 5, 5, 3600.0), "openai-chat", 0.0))
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"
    assert headers[b"x-ratelimit-reset-requests"] == b"1h0m0s"
    tokens = dict(of_refused(Refused("k1", "tpm", 100, 90, 5.0), "openai-chat", 0.0))
    assert tokens[b"x-ratelimit-remaining-tokens"] == b"10"
    assert of_refused(Refused("k1", "concurrency", 1, 1, 0.0), "openai-chat", 0.0) == []
