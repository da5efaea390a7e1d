import json

import pytest

from apiproxy.providers import code_assist, gemini_api
from apiproxy.wire.types import OK, Fault
from tests.apiproxy.providers.helpers import MIDNIGHT, NOW, answer
from tests.fakes.google_errors import ERRORS, wrap
from tests.matrix import JSON_FORMS, MATRIX

PROVIDERS = {"code_assist": code_assist, "gemini_api": gemini_api}
HOUR = 3600

CLIENT_FAULT, RETRY, REFRESH = Fault.CLIENT_FAULT, Fault.RETRY, Fault.REFRESH
NEXT, COOL, DISABLE = Fault.NEXT_CREDENTIAL, Fault.COOL_DOWN, Fault.DISABLE


def judge(case, form="object", **facts):
    body = wrap(case.body(now=NOW, **facts), form)
    return PROVIDERS[case.upstream].classify(answer(case.http, body))


def judge_error(provider, status, message, *, code="", **details):
    error = {"code": status, "message": message, "status": code, "details": []}
    for kind, detail in details.items():
        error["details"].append({"@type": f"type.googleapis.com/google.rpc.{kind}", **detail})
    return provider.classify(answer(status, json.dumps({"error": error}).encode()))


def test_every_known_error_has_its_expectation():
    assert set(MATRIX) == set(ERRORS)


@pytest.mark.parametrize("form", JSON_FORMS)
@pytest.mark.parametrize("name", MATRIX)
def test_matrix(name, form):
    row = MATRIX[name]
    verdict = judge(ERRORS[name], form)
    assert (verdict.fault, verdict.kind, verdict.reason) == (row.fault, row.kind, row.reason)
    assert verdict.until == pytest.approx(row.until(NOW, MIDNIGHT))
    assert verdict.status == ERRORS[name].http
    assert not verdict.whole
    assert verdict.message


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_the_page_of_a_front_end_blames_no_credential(case):
    assert judge(case, "html").fault in (RETRY, REFRESH, CLIENT_FAULT)


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_messages_are_fit_for_a_client(case):
    secrets = {
        "key": "AIzaSyDdI0hCZtE6vySjMm-WEfRq3CPzqKqqsHI",
        "project": "lent-project-4711",
        "project_number": "681255809395",
    }
    for form in ("object", "html"):
        message = judge(case, form, **secrets).message
        assert message
        assert not any(secret in message for secret in secrets.values())


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_a_good_answer_is_ok(provider):
    assert provider.classify(answer(200, b"{}")) is OK


def test_help_comes_with_what_a_person_must_do():
    assert judge(ERRORS["ca_validation"]).help_url == (
        "https://accounts.google.com/signin/continue?sarp=1&fake=1"
    )
    assert judge(ERRORS["ca_licence"]).help_url.endswith("/request-license")
    assert judge(ERRORS["ca_api_disabled"], project="p-1").help_url.endswith("?project=p-1")
    assert judge(ERRORS["quota_day"]).help_url == ""


@pytest.mark.parametrize("name", ["ca_rate_short", "ca_quota_daily"])
def test_a_reset_in_the_past_is_a_short_rest(name):
    verdict = judge(ERRORS[name], reset_s=-7200, retry_s=0)
    assert (verdict.fault, verdict.until) == (COOL, NOW + 1)


def test_a_long_wait_is_a_quota_whatever_its_reason():
    verdict = judge(ERRORS["ca_rate_short"], reset_s=4000, retry_s=4000)
    assert (verdict.kind, verdict.reason, verdict.until) == (
        "quota",
        "quota_with_reset",
        NOW + 4000,
    )


def test_no_error_takes_a_model_away_for_more_than_a_week():
    assert judge(ERRORS["ca_quota_daily"], reset_s=1e9).until == NOW + 7 * 24 * HOUR


def test_a_429_that_names_nothing_rests_for_a_minute():
    verdict = judge_error(gemini_api, 429, "Too many requests.", code="RESOURCE_EXHAUSTED")
    assert (verdict.fault, verdict.kind, verdict.until) == (COOL, "rate", NOW + 60)


def test_a_limit_that_only_begins_with_zero_is_some_access():
    message = "Quota exceeded for metric: x, limit: 0.5, model: m"
    assert judge_error(gemini_api, 429, message).reason == "rate_limited"


def test_the_worst_of_several_violations_counts():
    violations = [
        {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel", "quotaValue": "10"},
        {"quotaId": "GenerateRequestsPerDayPerProjectPerModel", "quotaValue": "250"},
    ]
    quota = {"QuotaFailure": {"violations": violations}, "RetryInfo": {"retryDelay": "9s"}}
    verdict = judge_error(gemini_api, 429, "You exceeded your current quota.", **quota)
    assert (verdict.reason, verdict.until) == ("daily_quota", MIDNIGHT)


@pytest.mark.parametrize(
    "message",
    [
        "Function call is missing a thought_signature in functionCall parts.",
        "Corrupted thought signature.",
        "Invalid value at 'contents[1].parts[0].thought_signature' (TYPE_BYTES)",
        "Tool call part is missing thought_signature",
    ],
)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_thought_signatures_are_told_apart(provider, message):
    verdict = judge_error(provider, 400, message, code="INVALID_ARGUMENT")
    assert (verdict.fault, verdict.reason) == (CLIENT_FAULT, "thought_signature")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Invalid JSON payload received. Unknown name \"API key not valid\" at 'contents'"),
        (400, 'Unknown name "{"error": {"code": 403, "message": "API key expired"}}"'),
        (403, "No access to tunedModels/Your API key was reported as leaked"),
        (403, "No access to 'x disabled in this account for violation of Terms of Service'"),
        (403, "No access to 'the entitlement of this edition (#3501)'"),
    ],
)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_words_quoted_from_a_request_cost_no_credential(provider, status, message):
    verdict = judge_error(provider, status, message)
    assert verdict.fault in (CLIENT_FAULT, NEXT)


@pytest.mark.parametrize(
    "message",
    [
        "You do not have permission to access the File abc or it may not exist.",
        "CachedContent not found (or permission denied)",
    ],
)
def test_a_file_of_another_project_costs_no_key(message):
    verdict = judge_error(gemini_api, 403, message, code="PERMISSION_DENIED")
    assert (verdict.fault, verdict.reason) == (NEXT, "resource_not_found")


def test_a_permission_of_another_service_costs_no_credential():
    info = {"reason": "IAM_PERMISSION_DENIED", "metadata": {"permission": "storage.objects.get"}}
    assert judge_error(code_assist, 403, "Permission denied", ErrorInfo=info).fault is NEXT


def test_a_plain_lack_of_permission_rests_only_the_model():
    verdict = judge_error(code_assist, 403, "The caller does not have permission")
    assert (verdict.fault, verdict.until, verdict.whole) == (COOL, NOW + 30 * 60, False)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("You need a license. (#3501)", "subscription_required"),
        ("Gemini API has not been used in project 1 before or it is disabled.", "service_disabled"),
        ("Verify your account to continue.", "validation_required"),
    ],
)
def test_text_decides_where_the_details_are_missing(message, reason):
    verdict = judge_error(code_assist, 403, message)
    assert (verdict.fault, verdict.reason) == (DISABLE, reason)


@pytest.mark.parametrize(
    ("status", "fault", "kind"),
    [
        (302, RETRY, "server"),
        (401, RETRY, "server"),
        (413, CLIENT_FAULT, "client"),
        (429, RETRY, "rate"),
        (502, RETRY, "server"),
        (504, RETRY, "timeout"),
    ],
)
def test_pages_by_their_status(status, fault, kind):
    verdict = gemini_api.classify(answer(status, b"<html><title>Sorry</title></html>"))
    assert (verdict.fault, verdict.kind) == (fault, kind)
    assert "Sorry" not in verdict.message


def test_a_page_that_refuses_a_token_asks_for_a_fresh_one():
    assert code_assist.classify(answer(401, b"")).fault is REFRESH


@pytest.mark.parametrize(
    ("status", "fault"), [(402, CLIENT_FAULT), (405, CLIENT_FAULT), (501, CLIENT_FAULT)]
)
def test_other_refusals_are_returned(status, fault):
    assert judge_error(gemini_api, status, "no").fault is fault
