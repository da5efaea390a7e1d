import json

import pytest

from apiproxy.providers.code_assist_setup import (
    MAX_POLLS,
    POLL_PAUSE_S,
    SetUp,
    discover,
    enable_services,
)
from apiproxy.wire.types import Fault
from tests.apiproxy.providers.helpers import CREDENTIAL, ENDPOINTS, answer, drive
from tests.fakes.google_errors import ERRORS, wrap

METADATA = {
    "ideType": "IDE_UNSPECIFIED",
    "platform": "PLATFORM_UNSPECIFIED",
    "pluginType": "GEMINI",
}
FREE = {"id": "free-tier", "isDefault": True}
STANDARD = {"id": "standard-tier", "isDefault": True}


def ok(value):
    return answer(200, json.dumps(value).encode())


def refused(name):
    return answer(ERRORS[name].http, wrap(ERRORS[name].body()))


def projects(*ids, token=None, state="ACTIVE"):
    listed = [{"projectId": one, "name": one.title(), "lifecycleState": state} for one in ids]
    return ok({"projects": listed, **({"nextPageToken": token} if token else {})})


def run(*answers, hint=""):
    asks, result = drive(discover(CREDENTIAL, ENDPOINTS, hint), answers)
    return asks, result


def sent(ask):
    return ask.request.url.rpartition(":")[2], json.loads(ask.request.body)


def test_an_onboarded_account_has_tier_and_project():
    asks, result = run(
        ok({"currentTier": {"id": "standard-tier"}, "cloudaicompanionProject": "p-1"})
    )
    assert result == SetUp(project="p-1", tier="standard-tier")
    assert [ask.request.url for ask in asks] == ["https://assist.example/v1internal:loadCodeAssist"]
    assert asks[0].request.headers["authorization"] == "Bearer the-token"
    assert sent(asks[0])[1] == {"metadata": METADATA}


def test_the_hint_is_sent_and_the_answer_beats_it():
    loaded = {"currentTier": {"id": "free-tier"}, "cloudaicompanionProject": {"id": "p-1"}}
    asks, result = run(ok(loaded), hint="hinted-1")
    assert sent(asks[0])[1] == {
        "cloudaicompanionProject": "hinted-1",
        "metadata": {**METADATA, "duetProject": "hinted-1"},
    }
    assert result.project == "p-1"


def test_the_hint_serves_when_the_answer_names_no_project():
    assert (
        run(ok({"currentTier": {"id": "standard-tier"}}), hint="hinted-1")[1].project == "hinted-1"
    )


def test_a_project_number_is_no_project():
    loaded = {"currentTier": {"id": "standard-tier"}, "cloudaicompanionProject": "681255809395"}
    asks, result = run(ok(loaded), projects("p-1"), hint="12345678")
    assert sent(asks[0])[1] == {"metadata": METADATA}
    assert result.project == "p-1"


def test_the_paid_tier_counts():
    loaded = {"currentTier": {"id": "free-tier"}, "paidTier": {"id": "g1-pro-tier"}}
    assert run(ok(loaded), hint="p-1")[1].tier == "g1-pro-tier"


def test_the_free_tier_is_joined_without_a_project():
    done = {"done": True, "response": {"cloudaicompanionProject": {"id": "given-1"}}}
    asks, result = run(ok({"allowedTiers": [FREE]}), ok(done), hint="hinted-1")
    assert sent(asks[1]) == ("onboardUser", {"tierId": "free-tier", "metadata": METADATA})
    assert result == SetUp(project="given-1", tier="free-tier")


def test_another_tier_is_joined_with_the_project():
    loaded = {"allowedTiers": [{"id": "free-tier"}, STANDARD]}
    done = {"done": True, "response": {"cloudaicompanionProject": {"id": "p-2"}}}
    asks, result = run(ok(loaded), projects("p-2"), ok(done))
    assert sent(asks[2])[1] == {
        "tierId": "standard-tier",
        "cloudaicompanionProject": "p-2",
        "metadata": {**METADATA, "duetProject": "p-2"},
    }
    assert result == SetUp(project="p-2", tier="standard-tier")


def test_without_a_default_the_legacy_tier_is_joined():
    done = ok({"done": True, "response": {}})
    asks, result = run(ok({"allowedTiers": [{"id": "x"}]}), done, hint="p-1")
    assert sent(asks[1])[1]["tierId"] == "legacy-tier"
    assert result == SetUp(project="p-1", tier="legacy-tier"), "an empty response leaves the hint"


def test_a_project_that_joining_does_not_name_is_looked_up():
    done = ok({"done": True, "response": {}})
    loaded = ok({"currentTier": FREE, "cloudaicompanionProject": "given-1"})
    asks, result = run(ok({"allowedTiers": [FREE]}), done, loaded)
    assert [sent(ask)[0] for ask in asks] == ["loadCodeAssist", "onboardUser", "loadCodeAssist"]
    assert result == SetUp(project="given-1", tier="free-tier")


def test_joining_is_asked_again_until_it_is_done():
    pending = ok({"name": "operations/1", "done": False})
    done = ok({"done": True, "response": {"cloudaicompanionProject": {"id": "p-1"}}})
    asks, result = run(ok({"allowedTiers": [FREE]}), pending, pending, done)
    assert [ask.after_s for ask in asks] == [0, 0, POLL_PAUSE_S, POLL_PAUSE_S]
    assert asks[1].request == asks[2].request == asks[3].request
    assert result.project == "p-1"


def test_joining_that_takes_too_long_may_be_tried_again():
    pending = [ok({"done": False})] * MAX_POLLS
    _, result = run(ok({"allowedTiers": [FREE]}), *pending)
    assert (result.verdict.fault, result.verdict.reason) == (Fault.RETRY, "onboarding_pending")


def test_a_failed_operation_is_judged():
    error = {"code": 9, "status": "FAILED_PRECONDITION", "message": "Precondition check failed."}
    _, result = run(ok({"allowedTiers": [FREE]}), ok({"done": True, "error": error}))
    assert result.verdict.reason == "failed_precondition"


def test_retired_accounts_are_told_what_still_works():
    loaded = {
        "allowedTiers": [STANDARD],
        "ineligibleTiers": [{"reasonCode": "UNSUPPORTED_CLIENT", "tierId": "free-tier"}],
    }
    asks, result = run(ok(loaded))
    assert len(asks) == 1
    assert (result.verdict.fault, result.verdict.kind) == (Fault.DISABLE, "licence")
    assert result.verdict.reason == "retired_by_google"
    assert "licence" in result.verdict.message
    assert "API key" in result.verdict.message


def test_a_licensed_account_is_not_retired():
    loaded = {
        "currentTier": {"id": "standard-tier"},
        "ineligibleTiers": [{"reasonCode": "UNSUPPORTED_CLIENT", "tierId": "free-tier"}],
    }
    assert run(ok(loaded), hint="p-1")[1] == SetUp(project="p-1", tier="standard-tier")


def test_verification_names_the_page():
    refusal = {
        "reasonCode": "VALIDATION_REQUIRED",
        "reasonMessage": "Verify.",
        "validationErrorMessage": "Verify alice@example.com first.",
        "validationUrl": "https://accounts.google.com/signin/continue?x=1",
    }
    _, result = run(ok({"allowedTiers": [STANDARD], "ineligibleTiers": [refusal]}))
    assert (result.verdict.kind, result.verdict.reason) == ("verification", "validation_required")
    assert result.verdict.help_url == "https://accounts.google.com/signin/continue?x=1"
    assert result.verdict.message == "Verify [address] first."


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("DASHER_USER", "licence"),
        ("INELIGIBLE_ACCOUNT", "licence"),
        ("NON_USER_ACCOUNT", "licence"),
        ("RESTRICTED_AGE", "licence"),
        ("UNKNOWN", "licence"),
        ("RESTRICTED_NETWORK", "location"),
        ("UNKNOWN_LOCATION", "location"),
        ("UNSUPPORTED_LOCATION", "location"),
    ],
)
def test_other_refusals(code, kind):
    refusal = {"reasonCode": code, "reasonMessage": "Not for you."}
    _, result = run(ok({"ineligibleTiers": [refusal]}))
    assert (result.verdict.fault, result.verdict.kind) == (Fault.DISABLE, kind)
    assert (result.verdict.reason, result.verdict.message) == (code.lower(), "Not for you.")


def test_a_refusal_of_one_tier_leaves_the_others():
    loaded = {"allowedTiers": [STANDARD], "ineligibleTiers": [{"reasonCode": "DASHER_USER"}]}
    done = ok({"done": True, "response": {}})
    assert run(ok(loaded), done, hint="p-1")[1] == SetUp(project="p-1", tier="standard-tier")


def test_a_perimeter_means_a_licensed_account():
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "SECURITY_POLICY_VIOLATED",
    }
    error = {"error": {"code": 403, "message": "Prohibited.", "details": [info]}}
    _, result = run(answer(403, json.dumps(error).encode()), hint="p-1")
    assert result == SetUp(project="p-1", tier="standard-tier")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("ca_bad_token", Fault.REFRESH),
        ("ca_tos", Fault.DISABLE),
        ("ca_validation", Fault.DISABLE),
        ("ca_overload", Fault.RETRY),
    ],
)
def test_errors_are_judged_as_those_of_calls(name, fault):
    _, result = run(refused(name), hint="p-1")
    assert result.verdict.fault is fault
    assert (result.project, result.tier) == ("p-1", "")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"3"])
def test_an_unreadable_answer_may_be_tried_again(body):
    _, result = run(answer(200, body))
    assert (result.verdict.fault, result.verdict.reason) == (Fault.RETRY, "unreadable_answer")


@pytest.mark.parametrize(
    ("listed", "chosen"),
    [
        (["p-1"], "p-1"),
        (["p-1", "p-2"], "p-1"),
        (["p-1", "my-default-2", "default-3"], "my-default-2"),
    ],
)
def test_the_project_of_an_account_with_several(listed, chosen):
    asks, result = run(ok({"currentTier": {"id": "standard-tier"}}), projects(*listed))
    assert asks[1].request.method == "GET"
    assert asks[1].request.url == "https://projects.example/v1/projects"
    assert result.project == chosen


def test_projects_come_in_pages():
    first = projects("gone-1", token="a&b", state="DELETE_REQUESTED")
    asks, result = run(ok({"currentTier": {"id": "standard-tier"}}), first, projects("p-9"))
    assert asks[2].request.url == "https://projects.example/v1/projects?pageToken=a%26b"
    assert result.project == "p-9"


@pytest.mark.parametrize("listing", [ok({}), projects("p-1", state="DELETED"), refused("ca_iam")])
def test_without_a_project_a_person_must_name_one(listing):
    _, result = run(ok({"currentTier": {"id": "standard-tier"}}), listing)
    assert (result.verdict.fault, result.verdict.kind) == (Fault.DISABLE, "configuration")
    assert (result.verdict.reason, result.tier) == ("project_missing", "standard-tier")


SERVICES = ("geminicloudassist.googleapis.com", "cloudaicompanion.googleapis.com")


def switch(*answers):
    return drive(enable_services(CREDENTIAL, ENDPOINTS, "p-1"), answers)


def test_services_are_switched_on_where_they_are_off():
    asks, missing = switch(ok({"state": "ENABLED"}), ok({"state": "DISABLED"}), ok({}))
    base = "https://services.example/v1/projects/p-1/services/"
    assert [(ask.request.method, ask.request.url) for ask in asks] == [
        ("GET", base + SERVICES[0]),
        ("GET", base + SERVICES[1]),
        ("POST", base + SERVICES[1] + ":enable"),
    ]
    assert missing == ()


def test_a_service_that_is_on_already_is_no_failure():
    already = answer(400, b'{"error": {"message": "Service x is already enabled."}}')
    _, missing = switch(refused("ca_iam"), already, ok({"state": "ENABLED"}))
    assert missing == ()


def test_services_that_stay_off_are_named():
    _, missing = switch(*[refused("ca_iam")] * 4)
    assert missing == SERVICES
