import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiproxy.wire.google_errors import (
    FieldViolation,
    Link,
    QuotaViolation,
    delay_in_text,
    http_status,
    next_pacific_midnight,
    parse,
    parse_duration,
    parse_timestamp,
    redact,
)
from tests.fakes.google_errors import ERRORS, wrap


@pytest.mark.parametrize("form", ["array", "stringified", "damaged"])
@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_every_wrapping_reads_the_same(case, form):
    body = case.body(now=1.7e9)
    assert parse(case.http, wrap(body, form)) == parse(case.http, wrap(body))


def test_all_details_are_read():
    error = parse(429, wrap(ERRORS["quota_day"].body(model="m")))
    assert (error.status, error.code) == (429, "RESOURCE_EXHAUSTED")
    assert error.retry_delay_s == 13.0
    assert error.violations == (
        QuotaViolation(
            metric="generativelanguage.googleapis.com/generate_content_free_tier_requests",
            quota_id="GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            value="250",
        ),
    )
    error = parse(403, wrap(ERRORS["ca_validation"].body()))
    assert error.reason == "VALIDATION_REQUIRED"
    assert error.domain == "cloudcode-pa.googleapis.com"
    assert error.metadata["validation_link"].startswith("https://accounts.google.com/")
    assert error.links[1] == Link("https://support.google.com/accounts?p=al_alert", "Learn more")
    error = parse(400, wrap(ERRORS["bad_request"].body()))
    assert error.field_violations == (FieldViolation("contents", "contents is not specified"),)


def test_a_page_is_no_error_object():
    error = parse(502, wrap(ERRORS["server"].body(), "html"))
    assert not error.readable
    assert (error.status, error.code) == (502, "")
    assert error.message == "Error 500 (Server Error)!!1"


def test_the_status_of_a_wrapped_error_counts():
    inner = json.dumps({"error": {"code": 429, "message": "slow down"}})
    error = parse(500, json.dumps({"error": {"code": 500, "message": inner}}).encode())
    assert (error.status, error.code, error.message) == (429, "RESOURCE_EXHAUSTED", "slow down")


def test_an_error_quoted_amid_other_words_is_a_quotation():
    quoted = 'Unknown name "{"error": {"code": 403, "message": "x"}}" at \'contents\''
    error = parse(400, json.dumps({"error": {"code": 400, "message": quoted}}).encode())
    assert (error.status, error.message) == (400, quoted)


def test_an_oauth_error_has_a_message():
    body = b'{"error": "invalid_grant", "error_description": "Token has been revoked."}'
    assert parse(400, body).message == "Token has been revoked."


WRECKS = [
    b"", b"null", b"[]", b"{}", b"[[]]", b'"x"', b"\xff\xfe", b'{"error": null}', b'{"error": 3}',
    b'{"error": {}}', b'{"error": {"details": 3, "message": [], "code": "x", "status": {}}}',
    b'{"error": {"details": [1, {"@type": 2}, {"@type": "x.ErrorInfo", "metadata": 1}]}}',
    b'{"error": {"details": [{"@type": "x.RetryInfo", "retryDelay": {"seconds": 1}}]}}',
    b'{"error": {"details": [{"@type": "x.Help", "links": [1, {"url": "javascript:x"}]}]}}',
    b'{"error": {"details": [{"@type": "x.QuotaFailure", "violations": {"a": 1}}]}}',
    b'{"error": {"code": true, "message": "\xed\xa0\x80"}}', b"[" * 100_000, b"<html>" * 9,
    b'{"error":' * 3000,
]  # fmt: skip


@pytest.mark.parametrize("body", WRECKS, ids=range(len(WRECKS)))
def test_nothing_raises(body):
    error = parse(418, body)
    assert error.status == 418
    assert error.links == ()


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text('{}[],:"\\ error', max_size=60).map(str.encode))
def test_no_bytes_raise(body):
    parse(500, body)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 429}, 429),
        ({"code": "503"}, 503),
        ({"code": 8, "status": "RESOURCE_EXHAUSTED"}, 429),
        ({"status": "FAILED_PRECONDITION"}, 400),
        ({"code": 200}, 502),
        ({"code": None, "status": None}, 502),
    ],
)
def test_the_status_an_error_object_claims(error, status):
    assert http_status(error, 502) == status


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("56s", 56.0),
        ("0.539477544s", 0.539477544),
        ("539.477544ms", 0.539477544),
        ("13h19m1.2s", 47941.2),
        ("1h2m3s", 3723.0),
        (" 5m ", 300.0),
        ("-1h0m0s", -3600.0),
        ("", None),
        ("-", None),
        ("soon", None),
        ("5", None),
        ("5s left", None),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == (seconds if seconds is None else pytest.approx(seconds))


def test_delays_in_words():
    assert delay_in_text("Your quota will reset after 19h14m47s.") == 69287.0
    assert delay_in_text("x\nPlease retry in 56.18s.") == 56.18
    assert delay_in_text("Please retry in 250ms") == 0.25
    assert delay_in_text("Please retry in a while.") is None


def test_timestamps():
    assert parse_timestamp("2026-01-31T12:00:00Z") == 1769860800.0
    assert parse_timestamp("2026-01-31T12:00:00.123456789+00:00") == 1769860800.123456
    assert parse_timestamp("2026-01-31T12:00:00") == 1769860800.0
    assert parse_timestamp("1970-01-01T00:00:00Z") == 0.0
    assert parse_timestamp("") is None
    assert parse_timestamp("tomorrow") is None


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        ("2026-01-15T07:59:59Z", "2026-01-15T08:00:00Z"),
        ("2026-01-15T08:00:00Z", "2026-01-16T08:00:00Z"),
        ("2026-07-15T06:59:59Z", "2026-07-15T07:00:00Z"),
        # Clocks go forward at 10:00 UTC on 8 March 2026, and back at 9:00 UTC on 1 November.
        ("2026-03-08T09:00:00Z", "2026-03-09T07:00:00Z"),
        ("2026-11-01T08:00:00Z", "2026-11-02T08:00:00Z"),
    ],
)
def test_midnight_in_california(now, midnight):
    found = next_pacific_midnight(datetime.fromisoformat(now).timestamp())
    assert datetime.fromtimestamp(found, UTC) == datetime.fromisoformat(midnight)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Consumer 'api_key:AIzaSyA-1_2b3' x", "Consumer 'api_key:[key]' x"),
        ("key AIzaSyDdI0hCZtE6vySjMm-WEfRq3CPzqKqqsHI.", "key [key]."),
        ("token ya29.a0AfH6SMBx-y_z was", "token [token] was"),
        ("refresh 1//0gAbCd-Ef_gh", "refresh [token]"),
        ("Bearer abcdefghijklmnop1234", "Bearer [token]"),
        ("id eyJhbGciOi.eyJzdWIi.c2ln", "id [token]"),
        ("secret GOCSPX-abc_DEF-123", "secret [secret]"),
        ("sk-abcdef0123456789 is", "[key] is"),
        ("'//x.googleapis.com/projects/my-proj-1/locations'", "'//x.googleapis.com/projects/[project]/locations'"),
        ("in project 681255809395 before", "in project [project] before"),
        ("in project my-proj-1 before", "in project [project] before"),
        ("consumer 'project_number:681255809395'.", "consumer 'project_number:[project]'."),
        ("project number 68125", "project number [project]"),
        ("project: wellspring", "project: [project]"),
        ("ask alice.b+c@mail.example.com now", "ask [address] now"),
        ("see https://x.example/a?key=1&project=p then", "see https://x.example/a then"),
        ("of 681255809395", "of [number]"),
        ("hash 0123456789abcdef0123456789abcdef", "hash [key]"),
        ("other Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv", "other [key]"),
    ],
)  # fmt: skip
def test_secrets_are_redacted(text, redacted):
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "Invalid JSON payload received. Unknown name \"$schema\" at 'request.tools[0]': Cannot find field.",
        "quota GenerateContentInputTokensPerModelPerMinute-FreeTier, limit: 250000",
        "models/gemini-2.5-flash-preview-native-audio-dialog-09-2025 is not found for API version v1beta",
        "Gemini25ProRequestsPerDayPerUserPerTier",
        "Request payload size exceeds the limit: 20971520 bytes.",
        "method google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent",
        "https://ai.google.dev/gemini-api/docs/rate-limits",
    ],
)
def test_ordinary_words_stay(text):
    assert redact(text) == text


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_no_known_error_lets_a_secret_through(case):
    facts = {
        "key": "AIzaSyDdI0hCZtE6vySjMm-WEfRq3CPzqKqqsHI",
        "project": "lent-project-4711",
        "project_number": "681255809395",
    }
    words = redact(parse(case.http, wrap(case.body(**facts))).message)
    assert not any(secret in words for secret in facts.values())
