import json

import pytest

from apiproxy.providers.code_assist_quota import QuotaBucket, parse_quota, quota_request
from tests.apiproxy.providers.helpers import CREDENTIAL, ENDPOINTS, answer


def test_the_request():
    request = quota_request(CREDENTIAL, ENDPOINTS)
    assert request.url == "https://assist.example/v1internal:retrieveUserQuota"
    assert request.headers["authorization"] == "Bearer the-token"
    assert json.loads(request.body) == {"project": "the-project"}


def test_buckets():
    buckets = [
        {
            "modelId": "gemini-2.5-pro",
            "tokenType": "REQUESTS",
            "remainingFraction": 0.9,
            "remainingAmount": "900",
            "resetTime": "2026-01-31T12:00:00Z",
        },
        {"modelId": "gemini-2.5-flash", "tokenType": "REQUESTS", "remainingFraction": 0.25},
        {"modelId": "gemini-3-pro-preview", "resetTime": "1970-01-01T00:00:00Z"},
        {"modelId": "used-up", "remainingFraction": 0, "remainingAmount": "0"},
    ]
    assert parse_quota(answer(200, json.dumps({"buckets": buckets}).encode())) == (
        QuotaBucket("gemini-2.5-pro", "REQUESTS", 0.9, 900, 1000, 1769860800.0),
        QuotaBucket("gemini-2.5-flash", "REQUESTS", 0.25),
        QuotaBucket("gemini-3-pro-preview", "", 0.0, barred=True),
        QuotaBucket("used-up", "", 0.0, 0),
    )


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"buckets": 3}', b'{"buckets": [3]}', b"<html>", b"[" * 50_000]
)
def test_unreadable_answers_have_no_buckets(body):
    assert parse_quota(answer(200, body)) == ()


def test_broken_numbers_count_as_absent():
    bucket = {"remainingFraction": "much", "remainingAmount": "some", "resetTime": 3}
    (parsed,) = parse_quota(answer(200, json.dumps({"buckets": [bucket]}).encode()))
    assert parsed == QuotaBucket("", "", 0.0)


def test_errors_have_no_buckets():
    assert parse_quota(answer(403, b'{"buckets": [{}]}')) == ()
