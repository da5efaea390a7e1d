"""Every error Google was seen to answer with: what the client gets, and what becomes of the credential."""

from __future__ import annotations

import pytest

from tests.e2e.dialects import (
    GEMINI,
    MODEL,
    OPENAI,
    ask,
    error_of,
    events_of,
    only_postgres,
    only_sqlite,
)
from tests.e2e.processes import eventually
from tests.fakes.google_errors import ERRORS

UNHARMED = ("active", None)
EXPIRED = ("expired", None)
ATTENTION = ("needs_attention", None)
COOLING = ("active", "cooling")
EXHAUSTED = ("active", "exhausted")
MISSING = ("active", "missing")

# row: (state of the credential, its state for the model; status when there is no other credential)
MATRIX = {
    # The client's own fault.
    "bad_request": (UNHARMED, 400),
    "too_large": (UNHARMED, 413),
    "ca_bad_request": (UNHARMED, 400),
    # The key or the grant is gone.
    "api_key_invalid": (EXPIRED, 503),
    "api_key_not_found": (EXPIRED, 503),
    "api_key_expired": (EXPIRED, 503),
    "ca_bad_token": (EXPIRED, 503),
    # Only its owner can mend it.
    "bearer_refused": (ATTENTION, 503),
    "suspended": (ATTENTION, 503),
    "service_disabled": (ATTENTION, 503),
    "service_blocked": (ATTENTION, 503),
    "referrer_blocked": (ATTENTION, 503),
    "ip_blocked": (ATTENTION, 503),
    "leaked": (ATTENTION, 503),
    "ca_licence": (ATTENTION, 503),
    "ca_named_user": (ATTENTION, 503),
    "ca_validation": (ATTENTION, 503),
    "ca_tos": (ATTENTION, 503),
    "ca_api_disabled": (ATTENTION, 503),
    "ca_iam": (ATTENTION, 503),
    # Nobody's fault that we could tell.
    "unregistered": (UNHARMED, 503),
    "location": (UNHARMED, 503),
    "ca_precondition": (UNHARMED, 503),
    # The account lacks the model.
    "model_missing": (MISSING, 404),
    "ca_model_missing": (MISSING, 404),
    # Limits.
    "quota_minute": (COOLING, 429),
    "quota_tokens_minute": (COOLING, 429),
    "ca_rate_short": (COOLING, 429),
    "quota_day": (EXHAUSTED, 429),
    "quota_day_paid": (EXHAUSTED, 429),
    "limit_zero": (EXHAUSTED, 429),
    "quota_bare": (EXHAUSTED, 429),
    "ca_quota_daily": (EXHAUSTED, 429),
    "ca_quota_bare": (EXHAUSTED, 429),
    "ca_quota_legacy": (EXHAUSTED, 429),
    "ca_no_access": (EXHAUSTED, 429),
    "ca_credits": (EXHAUSTED, 429),
    # The upstream's own trouble.
    "overload": (UNHARMED, 503),
    "ca_overload": (UNHARMED, 503),
    "ca_capacity_429": (UNHARMED, 503),
    "ca_capacity_503": (UNHARMED, 503),
    "server": (UNHARMED, 502),
    "ca_server": (UNHARMED, 502),
    "cancelled": (UNHARMED, 502),
    "ca_cancelled": (UNHARMED, 502),
    "deadline": (UNHARMED, 504),
    "ca_deadline": (UNHARMED, 504),
}
CLIENT_FAULTS = {name for name, (_, status) in MATRIX.items() if status in (400, 413)}
FORMS = ("array", "stringified", "damaged")
SAMPLE = (
    "api_key_invalid",
    "leaked",
    "quota_minute",
    "quota_day",
    "overload",
    "bad_request",
    "ca_licence",
    "ca_rate_short",
    "ca_quota_daily",
    "ca_capacity_429",
    "ca_bad_request",
)


def check_state(gateway, lent, expected, request_id):
    """Verdicts are written behind, after the answer and before the call's row of the request log."""
    state, model_state = expected

    def seen():
        [found] = gateway.hand("states", ids=[lent.id])
        return found["state"] == state and found["models"].get(MODEL, [None])[0] == model_state

    if expected is UNHARMED:
        gateway.explained(request_id)
        assert seen()
    else:
        eventually(seen, f"the credential is {expected}", 5)


def check_two_credentials(gateway, google, http, name, *, dialect, stream, **options):
    """The first fails as told, the second works."""
    provider = ERRORS[name].upstream
    first, second = gateway.lend(provider, provider)
    google.script("error", credential=first.name, error=name, **options)
    key = gateway.key()
    response = ask(http, dialect, key, stream=stream)
    assert google.calls(credential=first.name)
    expected, status = MATRIX[name]
    if name in CLIENT_FAULTS:
        error_of(response, dialect, status)
        assert not google.calls(credential=second.name)
        assert gateway.balance(key)["remaining"] == 1000
    else:
        assert response.status_code == 200, response.text
        said = events_of(response.text) if stream else response.json()
        assert "hello" in (dialect.stream_text(said) if stream else dialect.text(said))
        assert gateway.balance(key)["used"] == 2
    check_state(gateway, first, expected, response.headers["x-request-id"])
    [beside] = gateway.hand("states", ids=[second.id])
    assert (beside["state"], beside["models"]) == ("active", {})


@only_sqlite
@pytest.mark.parametrize("name", sorted(ERRORS))
def test_the_next_credential_answers(gateway, google, http, name):
    check_two_credentials(gateway, google, http, name, dialect=OPENAI, stream=False)


@only_sqlite
@pytest.mark.parametrize("name", sorted(ERRORS))
def test_the_next_credential_answers_a_stream(gateway, google, http, name):
    check_two_credentials(gateway, google, http, name, dialect=GEMINI, stream=True)


@only_sqlite
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SAMPLE)
def test_the_other_forms_of_an_error_mean_the_same(gateway, google, http, name, form):
    check_two_credentials(gateway, google, http, name, dialect=GEMINI, stream=False, form=form)


@only_postgres
@pytest.mark.parametrize("name", sorted(ERRORS))
def test_what_the_client_is_told_when_there_is_no_other(gateway, google, http, name):
    """Never the upstream's 401 or 403, which would be about the client's own key."""
    [lent] = gateway.lend(ERRORS[name].upstream)
    google.script("error", error=name, project="planted-project", key="AIzaPlantedKeyInTheMessage")
    key = gateway.key()
    expected, status = MATRIX[name]
    response = ask(http, OPENAI, key)
    error = error_of(response, OPENAI, status)
    for secret in (lent.name, "AIzaPlanted", "planted-project", "681255809395", google.url):
        assert secret not in error["message"]
    assert gateway.balance(key)["remaining"] == 1000
    check_state(gateway, lent, expected, response.headers["x-request-id"])


@only_postgres
@pytest.mark.parametrize(
    "scenario", ["html_502", "html_503", "broken_json", "reset_before_headers"]
)
@pytest.mark.parametrize("provider", ["gemini_api", "code_assist"])
def test_what_is_no_answer_at_all_costs_no_credential(gateway, google, http, provider, scenario):
    first, second = gateway.lend(provider, provider)
    google.script(scenario, credential=first.name)
    response = ask(http, OPENAI, gateway.key())
    assert response.status_code == 200
    assert google.calls(credential=second.name)
    check_state(gateway, first, UNHARMED, response.headers["x-request-id"])
