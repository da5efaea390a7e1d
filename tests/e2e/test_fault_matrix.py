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
from tests.matrix import CLIENT_FAULTS, MATRIX

UNHARMED = ("active", None)
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


def expected_of(name):
    """(state of the credential, its state for the model)."""
    row = MATRIX[name]
    return row.credential, None if row.model == "active" else row.model


def check_state(gateway, lent, expected, request_id):
    """Verdicts are written behind, after the answer and before the call's row of the request log."""
    state, model_state = expected

    def seen():
        [found] = gateway.hand("states", ids=[lent.id])
        return found["state"] == state and found["models"].get(MODEL, [None])[0] == model_state

    if expected == UNHARMED:
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
    if name in CLIENT_FAULTS:
        error_of(response, dialect, MATRIX[name].status)
        assert not google.calls(credential=second.name)
        assert gateway.balance(key)["remaining"] == 1000
    else:
        assert response.status_code == 200, response.text
        said = events_of(response.text) if stream else response.json()
        assert "hello" in (dialect.stream_text(said) if stream else dialect.text(said))
        assert gateway.balance(key)["used"] == 2
    check_state(gateway, first, expected_of(name), response.headers["x-request-id"])
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
    response = ask(http, OPENAI, key)
    error = error_of(response, OPENAI, MATRIX[name].status)
    for secret in (lent.name, "AIzaPlanted", "planted-project", "681255809395", google.url):
        assert secret not in error["message"]
    assert gateway.balance(key)["remaining"] == 1000
    check_state(gateway, lent, expected_of(name), response.headers["x-request-id"])


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
