"""Google's errors through the whole edge: which state moves, why, until when, and what its history says."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import sync_to_async

from credentials.models import Credential, ModelState, StateChange, epoch
from credentials.services import set_state, store
from credentials.states import Event, State
from credentials.words import explain
from tests.fakes.google_errors import ERRORS
from tests.matrix import CLIENT_FAULTS, JSON_FORMS, MATRIX, MODEL, played


def midnight_after(now: float) -> float:
    """Of California's day, worked out another way than the code does: hour by hour."""
    moment = datetime.fromtimestamp(now, UTC).replace(minute=0, second=0, microsecond=0)
    while True:
        moment += timedelta(hours=1)
        if moment.astimezone(ZoneInfo("America/Los_Angeles")).hour == 0:
            return moment.timestamp()


def lend(fake, provider: str, number: int) -> tuple[int, str]:
    """(id, the name Google knows it by)."""
    if provider == "gemini_api":
        name = f"AIza{number:035d}"
        fake.add_api_key(name)
        return store(provider=provider, secret={"api_key": name}, label=name).pk, name
    login = {
        "client_id": "c.apps.googleusercontent.com",
        "client_secret": "GOCSPX-secret",
        "refresh_token": f"1//refresh-{number}",
    }
    name = f"ya29.access-{number}"
    fake.add_account(
        **login, access_token=name, email=f"p{number}@example.com", project=f"project-{number}"
    )
    secret = {**login, "access_token": name, "expires_at": time.time() + 3000}
    return store(provider=provider, secret=secret, project=f"project-{number}").pk, name


@sync_to_async
def standing(pk):
    """(the credential, its row for the model or None, its history)."""
    model = ModelState.objects.filter(credential=pk).exclude(state="active").first()
    history = list(StateChange.objects.filter(credential=pk).exclude(from_state=""))
    return Credential.objects.get(pk=pk), model, history


def until_of(name: str, before: float, after: float):
    """Whether a stored end is the right one, for an answer that came between the two times."""
    row = MATRIX[name]
    earliest = row.until(before, midnight_after(before))
    latest = row.until(after, midnight_after(after)) + 2
    return lambda at: earliest <= epoch(at) <= latest


@pytest.mark.parametrize("name", sorted(ERRORS))
async def test_each_error_moves_its_state_and_no_other(edge, fake, key, name):
    """In every form that Google wraps it in, each time with a fresh credential alone."""
    row = MATRIX[name]
    for number, form in enumerate(JSON_FORMS[:3]):
        lent, told = await sync_to_async(lend)(fake, ERRORS[name].upstream, number)
        fake.clear_scripts()
        fake.script("error", credential=told, error=name, form=form)
        before = time.time()
        answer = await edge.chat(key.text, model=MODEL)
        after = time.time()
        assert answer.status == row.status, answer.body
        await edge.settled()
        credential, model, history = await standing(lent)
        assert credential.state == row.credential, form
        rests = row.model is not State.ACTIVE
        if row.credential is State.ACTIVE and not rests:
            assert (model, history) == (None, [])
        else:
            [change] = history
            assert (change.from_state, change.to_state) == (
                "active",
                row.model if rests else row.credential,
            )
            assert (change.model, change.reason) == (MODEL if rests else "", row.reason)
            assert change.request_id == answer.headers["x-request-id"]
        if rests:
            assert (model.model, model.state, model.reason) == (MODEL, row.model, row.reason)
            assert until_of(name, before, after)(model.until), (model.until, form)
        else:
            assert model is None
            assert credential.state_until is None
        if row.credential is not State.ACTIVE:
            assert credential.state_reason == row.reason
            assert credential.help_url == row.help_url
        await sync_to_async(set_state)(credential_id=lent, event=Event.DISABLED)


@pytest.mark.parametrize("form", JSON_FORMS)
@pytest.mark.parametrize("name", sorted(CLIENT_FAULTS))
def test_a_clients_fault_moves_nothing(name, form):
    verdict, credential, model = played(name, form)
    assert (verdict.kind, verdict.until) == ("client", 0)
    assert (credential.state, model.state) == (State.ACTIVE, State.ACTIVE)


@pytest.mark.parametrize("form", JSON_FORMS)
@pytest.mark.parametrize("name", sorted(MATRIX))
def test_the_states_of_the_table_are_those_of_the_code(name, form):
    row = MATRIX[name]
    _, credential, model = played(name, form)
    assert (credential.state, model.state) == (row.credential, row.model)


@pytest.mark.parametrize("name", sorted(MATRIX))
def test_whoever_can_mend_it_is_told_what_to_do(name):
    row = MATRIX[name]
    if row.credential is State.ACTIVE:
        return
    said = explain(row.credential, row.reason, provider=ERRORS[name].upstream)
    assert said.who in ("contributor", "operator")
    assert said.todo.endswith(".")
