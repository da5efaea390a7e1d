"""Lending at /auth as programs see it: every way it can go wrong is said in words, and nothing is lost by it."""

from __future__ import annotations

import re

import pytest

from tests.e2e.contributor import Contributor, code_of
from tests.e2e.dialects import OPENAI, ask, only_sqlite
from tests.e2e.processes import eventually


@pytest.fixture
def person(gateway):
    gateway.lend()
    with Contributor(gateway) as someone:
        yield someone


def account(gateway, **options):
    """A Google account, signed in in the person's browser."""
    login = gateway.login(client=gateway.oauth_client, **options)
    gateway.google.consent_as = login["email"]
    return login


def serves(gateway, google, http):
    key = gateway.key()
    return eventually(lambda: ask(http, OPENAI, key).status_code == 200, "what was lent serves")


def words_of(page):
    """The words of a page, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


def test_a_lent_account_is_tried_serves_and_is_taken_back(gateway, google, http, person):
    login = account(gateway)
    told = person.lends_google(name="Bob", email="bob@example.com")
    assert told["state"] == "done", told
    [verdict] = told["verdicts"]
    assert (verdict["verdict"], verdict["usable"]) == ("works", True)
    assert serves(gateway, google, http)
    [loan] = person.lent()
    taken = person.post(f"{loan}/withdraw", revoke="yes")
    assert taken.status_code == 303
    key = gateway.key()
    eventually(lambda: ask(http, OPENAI, key).status_code == 503, "it serves no more", 5)
    eventually(lambda: not google.access_tokens(login["email"]), "Google has ended the access", 40)
    eventually(
        lambda: (
            "Secret destroyed" in (page := words_of(person.get(f"{loan}/receipt")))
            and "not yet" not in page
        ),
        "the secret is destroyed",
        20,
    )


def test_the_same_answer_pasted_twice_lends_once(gateway, google, person):
    account(gateway)
    person.begin()
    answer = person.consents()
    assert person.paste(answer)["state"] == "done"
    before = len(google.calls("token"))
    page = person.post(person.flow, at="/auth", pasted=answer)
    assert page.status_code in (303, 400, 409)
    assert person.state()["state"] == "done"
    assert len(google.calls("token")) == before
    assert len(person.lent()) == 1


@only_sqlite
@pytest.mark.parametrize(
    ("pasted", "step"),
    [
        ("", "reading"),
        ("hello", "reading"),
        ("https://accounts.google.com/o/oauth2/v2/auth?client_id=x", "reading"),
        ("http://localhost:7861/auth/callback?state=x", "reading"),
    ],
)
def test_what_cannot_be_read_is_said_and_can_be_pasted_again(gateway, google, person, pasted, step):
    account(gateway)
    person.begin()
    answer = person.consents()
    told = person.paste(pasted)
    assert (told["state"], told["step"]) == ("pending", step)
    assert told["words"]
    assert person.paste(answer)["state"] == "done"


@only_sqlite
def test_a_refusal_at_google_is_no_end(gateway, google, person):
    account(gateway)
    google.script("consent_denied", times=1)
    person.begin()
    told = person.paste(person.consents())
    assert told["state"] == "pending"
    assert told["words"]
    assert person.paste(person.consents())["state"] == "done"


@only_sqlite
def test_the_state_of_another_browser_is_refused(gateway, google, person):
    account(gateway)
    with Contributor(gateway) as other:
        other.begin()
        stolen = other.consents()
        person.begin()
        told = person.paste(stolen)
        assert (told["state"], told["step"]) == ("pending", "matching")
        assert "another browser" in told["words"]
        # The same by the loopback.
        callback = stolen.partition("/auth/callback")[2]
        assert person.get(f"/auth/callback{callback}").status_code == 403
        assert other.paste(stolen)["state"] == "done"


@only_sqlite
@pytest.mark.parametrize("scenario", ["invalid_grant", "no_refresh_token"])
def test_a_code_that_google_takes_no_more_offers_to_begin_again(gateway, google, person, scenario):
    account(gateway)
    google.script(scenario, times=1)
    person.begin()
    told = person.paste(person.consents())
    assert (told["state"], told["step"], told["next"]) == ("failed", "exchanging", "begin again")
    assert told["words"]
    assert person.lends_google()["state"] == "done"


@only_sqlite
def test_a_wrong_code_is_googles_to_refuse(gateway, google, person):
    account(gateway)
    person.begin()
    told = person.paste(person.consents().replace("0Fake", "0Wrong"))
    assert (told["state"], told["step"]) == ("failed", "exchanging")
    assert told["words"]


@only_sqlite
def test_a_mistyped_code_can_be_typed_again(gateway, google, person):
    """Alone it may lack a piece: the attempt goes on waiting."""
    account(gateway)
    person.begin()
    code = code_of(person.consents())
    told = person.paste(code[:-3])
    assert (told["state"], told["step"]) == ("pending", "exchanging")
    assert person.paste(f" {code}\n")["state"] == "done"


@only_sqlite
@pytest.mark.parametrize("scenario", ["oauth_html", "oauth_429", "slow_refresh"])
def test_a_token_service_in_trouble_loses_nothing(gateway, google, person, scenario):
    """The code was not taken: the same paste goes through when the service is back."""
    account(gateway)
    google.script(scenario, times=1)
    person.begin()
    answer = person.consents()
    told = person.paste(answer)
    if scenario != "slow_refresh":
        assert told["state"] == "pending", told
        assert told["words"]
        told = person.paste(answer)
    assert told["state"] == "done"


@only_sqlite
@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("unsupported_client", "retired by Google for individual accounts"),
        ("validation_required", "needs verification"),
        ("banned", "banned by Google"),
    ],
)
def test_the_verdict_says_what_is_to_be_done(gateway, google, person, state, verdict):
    account(gateway, state=state)
    told = person.lends_google()
    assert told["state"] == "done", told
    [found] = told["verdicts"]
    assert (found["verdict"], found["usable"]) == (verdict, False)
    assert found["detail"]


def test_keys_are_lent_and_each_has_its_verdict(gateway, google, http, person):
    good, bad = gateway.api_key(), gateway.api_key(known=False)
    told = person.lends_keys(good, f"and this one: {bad}")
    assert told["state"] == "done"
    assert sorted(one["verdict"] for one in told["verdicts"]) == ["revoked", "works"]
    assert len(person.lent()) == 2
    assert serves(gateway, google, http)


@only_sqlite
def test_a_service_account_is_refused_in_words(gateway, person):
    answer = person.begin("api_key", keys='{"type": "service_account", "private_key": "x"}')
    assert answer.status_code == 422
    assert "service account" in words_of(answer).lower()


def test_the_private_page_is_only_its_contributors(gateway, person):
    account(gateway)
    person.lends_google()
    [loan] = person.lent()
    link = person.link()
    with Contributor(gateway) as stranger:
        assert stranger.get("/auth/mine").status_code == 403
        assert stranger.get(loan).status_code == 403
        stranger.lends_keys(gateway.api_key())
        assert stranger.get(loan).status_code == 404
        for what in ("pause", "resume", "test", "limits", "withdraw"):
            assert stranger.post(f"{loan}/{what}", at="/auth/mine").status_code == 404
        for what in ("receipt", "receipt.json", "reconnect"):
            assert stranger.get(f"{loan}/{what}").status_code == 404
        # Whoever has the link is the contributor.
        opened = stranger.get(link[link.index("/auth/link/") :])
        assert (opened.status_code, opened.headers["location"]) == (302, "/auth/mine")
        assert stranger.lent() == [loan]
    for path in ("/auth", "/auth/mine", loan, person.flow):
        headers = person.get(path).headers
        assert "no-store" in headers["cache-control"]
        assert headers["referrer-policy"] in ("same-origin", "no-referrer")
