import json
import re

import pytest

from tests.fakes.conftest import KEY, TOKEN
from tests.fakes.google_errors import CONTENT_TYPES, ERRORS, FORMS, wrap
from tests.fakes.google_status import duration

REASONS = {
    "ca_rate_short": "RATE_LIMIT_EXCEEDED",
    "ca_rate_long": "RATE_LIMIT_EXCEEDED",
    "ca_quota_daily": "QUOTA_EXHAUSTED",
    "ca_quota_legacy": "RATE_LIMIT_EXCEEDED",
    "ca_capacity_429": "MODEL_CAPACITY_EXHAUSTED",
    "ca_capacity_exceeded": "MODEL_CAPACITY_EXCEEDED",
    "ca_credentials_missing": "CREDENTIALS_MISSING",
    "ca_capacity_503": "MODEL_CAPACITY_EXHAUSTED",
    "ca_credits": "INSUFFICIENT_G1_CREDITS_BALANCE",
    "ca_licence": "SUBSCRIPTION_REQUIRED",
    "ca_validation": "VALIDATION_REQUIRED",
    "ca_api_disabled": "SERVICE_DISABLED",
    "ca_iam": "IAM_PERMISSION_DENIED",
    "ca_bad_token": "ACCESS_TOKEN_EXPIRED",
    "api_key_invalid": "API_KEY_INVALID",
    "api_key_not_found": "API_KEY_INVALID",
    "api_key_expired": "API_KEY_INVALID",
    "bearer_refused": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
    "suspended": "CONSUMER_SUSPENDED",
    "service_disabled": "SERVICE_DISABLED",
    "service_blocked": "API_KEY_SERVICE_BLOCKED",
    "referrer_blocked": "API_KEY_HTTP_REFERRER_BLOCKED",
    "ip_blocked": "API_KEY_IP_ADDRESS_BLOCKED",
}


def detail(body, kind):
    found = [d for d in body["error"].get("details", []) if d["@type"].endswith(f"rpc.{kind}")]
    return found[0] if found else {}


@pytest.mark.parametrize("name", ERRORS)
def test_each_row_is_a_consistent_status(name):
    case = ERRORS[name]
    error = case.body()["error"]
    assert (error["code"], error["status"]) == (case.http, case.status)
    assert detail({"error": error}, "ErrorInfo").get("reason") == REASONS.get(name)


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    body = ERRORS["quota_minute"].body()
    raw = wrap(body, form)
    if form == "object":
        assert json.loads(raw) == body
    elif form == "array":
        assert json.loads(raw) == [body]
    elif form == "stringified":
        assert json.loads(json.loads(raw)["error"]["message"]) == body
    elif form == "html":
        assert b"<title>Error 429" in raw
    else:
        with pytest.raises(json.JSONDecodeError):
            json.loads(raw)
        assert b"RESOURCE_EXHAUSTED" in raw


@pytest.mark.parametrize(
    ("reset_s", "delay", "stamp"),
    [
        (47941.2, "13h19m1.2s", "1970-01-01T13:19:01Z"),
        (-60, "-1m0s", "1969-12-31T23:59:00Z"),
    ],
)
def test_the_reset_may_lie_ahead_or_behind(reset_s, delay, stamp):
    metadata = detail(ERRORS["ca_quota_daily"].body(reset_s=reset_s, now=0), "ErrorInfo")[
        "metadata"
    ]
    assert (metadata["quotaResetDelay"], metadata["quotaResetTimeStamp"]) == (delay, stamp)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.539477544, "539.477544ms"), (9, "9s"), (62.5, "1m2.5s"), (3600, "1h0m0s")],
)
def test_durations_read_like_those_of_go(seconds, text):
    assert duration(seconds) == text


def test_a_daily_violation_still_says_retry_in_seconds():
    body = ERRORS["quota_day"].body(model="gemini-2.5-pro")
    violations = detail(body, "QuotaFailure")["violations"]
    assert len(violations) == 2
    assert "PerDay" in violations[0]["quotaId"]
    assert violations[0]["quotaDimensions"]["model"] == "gemini-2.5-pro"
    assert re.fullmatch(r"\d+s", detail(body, "RetryInfo")["retryDelay"])
    assert "limit: 0, model" in ERRORS["limit_zero"].body()["error"]["message"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ERRORS)
def test_every_row_can_be_scripted_in_every_form(fake, gemini, assist, name, form):
    fake.script("error", error=name, form=form)
    caller = assist if ERRORS[name].upstream == "code_assist" else gemini
    response = caller.say(stream=True)
    assert response.status_code == ERRORS[name].http
    assert response.headers["content-type"] == CONTENT_TYPES[form]
    if form == "object":
        assert response.json()["error"]["status"] == ERRORS[name].status


def test_facts_and_headers_come_from_the_call_and_the_options(fake, gemini):
    fake.script("error", error="suspended", times=1)
    fake.script("error", error="quota_minute", retry_s=5, headers={"Retry-After": "5"}, status=418)
    assert KEY in gemini.say().json()["error"]["message"]
    response = gemini.say(model="gemini-2.5-pro")
    assert response.status_code == 418
    assert response.headers["retry-after"] == "5"
    assert "model: gemini-2.5-pro" in response.text
    assert detail(response.json(), "RetryInfo")["retryDelay"] == "5s"


def test_the_first_credential_fails_and_the_second_answers(fake, gemini, assist):
    fake.add_api_key("second")
    fake.add_account(access_token="ya29.bob", email="bob@example.com", project="alpha")
    fake.script("error", error="quota_day", credential=KEY)
    fake.script("error", error="ca_quota_daily", credential=TOKEN)
    assert gemini.say().status_code == 429
    assert gemini.say(**{"x-goog-api-key": "second"}).status_code == 200
    assert assist.say().status_code == 429
    assert assist.say(authorization="Bearer ya29.bob").status_code == 200
