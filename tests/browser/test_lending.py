"""A new contributor with a phone: from /auth to the verdict, the private page, and the way back out."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import INVITE_CODE
from tests.e2e.dialects import OPENAI, ask
from tests.e2e.gateway import client_of
from tests.e2e.processes import eventually

FLOW = re.compile(r"^/auth/flows/[0-9a-f-]{36}$")
LOAN = re.compile(r"^/auth/mine/\d+$")


@pytest.fixture
def bob(site):
    """Bob's Google account; he is signed in at Google."""
    login = site.login(client=site.oauth_client)
    site.google.consent_as = login["email"]
    return login


def answers(site, status=200):
    """Whether a call of a client ends so, within seconds."""
    key = site.key()
    with client_of(site.url) as http:
        return eventually(
            lambda: ask(http, OPENAI, key).status_code == status, f"calls answer {status}", 10
        )


def begin(visitor, kind="Google account"):
    visitor.go("/auth")
    visitor.shot("lend")
    visitor.page.get_by_label(kind, exact=True).check()
    visitor.tick("I have read this")


def consent_by_paste(visitor):
    """Google's page sends the browser to a localhost where nothing is: the address is copied from there."""
    visitor.press("Go on")
    visitor.lands(FLOW)
    visitor.shot("consent")
    return visitor.copied_address(lambda: visitor.follow("Go to Google"))


def paste(visitor, text):
    visitor.fill("The address your browser shows", text)
    visitor.press("Go on")


def withdraw(visitor, *, revoke):
    visitor.follow("Take it back")
    visitor.lands(re.compile(r"/withdraw$"))
    if revoke:
        visitor.tick("Also end the access at Google")
    visitor.shot("withdraw")
    visitor.press("Take it back now")
    visitor.lands(re.compile(r"/receipt$"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_new_contributor_lends_limits_pauses_and_takes_back(site, google, visit, bob, dark):
    phone = visit(site, dark=dark)
    begin(phone)
    address = consent_by_paste(phone)
    assert address.startswith("http://localhost:")
    paste(phone, address)
    phone.reads("Thank you: it works")
    phone.looks_right()
    phone.shot("verdict")
    # Without https a browser gives no page its clipboard.
    assert not phone.page.get_by_text("Copy the link").is_visible()
    link = phone.page.locator("code", has_text="/auth/link/").inner_text()
    assert link.startswith(f"{phone.base}/auth/link/")
    assert answers(site)

    phone.follow("To my private page")
    phone.lands("/auth/mine")
    assert bob["email"] not in phone.text()  # shortened
    phone.reads("Works")
    phone.shot("private-page")
    phone.follow("Limits, figures")
    phone.lands(LOAN)
    loan = phone.page.url
    phone.shot("loan")
    phone.fill("Calls a day", "50")
    phone.fill("Calls a day by model", "gemini-2.5-pro* 10")
    phone.press("Save limits")
    phone.reads("They hold from now on")
    assert phone.page.get_by_label("Calls a day", exact=True).input_value() == "50"
    phone.press("Pause")
    phone.reads("Paused")
    phone.shot("paused")
    assert answers(site, 503)
    phone.press("Resume")
    phone.reads("It answers calls")
    assert answers(site)
    phone.press("Test now")
    phone.reads("Tested just now: works")

    withdraw(phone, revoke=True)
    phone.reads("was taken back")
    assert answers(site, 503)
    eventually(lambda: not google.access_tokens(bob["email"]), "Google has ended the access", 40)

    def destroyed():
        phone.page.reload()
        return "not yet" not in phone.text()

    eventually(destroyed, "the receipt says that the secret is destroyed", 20)
    phone.looks_right()
    phone.shot("receipt")
    # The link goes on opening the page, in any browser.
    other = visit(site, dark=dark)
    other.go(link)
    other.lands("/auth/mine")
    other.reads("Taken back")
    other.shot("taken-back")
    other.go(loan)
    other.lands(re.compile(r"/receipt$"))


def test_a_browser_on_the_gateways_host_comes_back_by_itself(site, visit, bob):
    desk = visit(site, at_the_gateway=True)
    begin(desk)
    desk.press("Go on")
    desk.lands(FLOW)
    desk.follow("Go to Google")
    desk.lands(FLOW)
    desk.reads("Thank you: it works")
    desk.shot("verdict")


def test_without_scripts_everything_works_as_well(site, visit, bob):
    phone = visit(site, scripts=False)
    begin(phone)
    paste_address = consent_by_paste(phone)
    with phone.page.expect_navigation():
        paste(phone, paste_address)

    def decided():
        phone.page.reload()
        return "Thank you: it works" in phone.text()

    eventually(decided, "the page says that it works", 30)
    phone.follow("To my private page")
    phone.follow("Limits, figures")
    phone.press("Pause")
    phone.reads("It answers nothing until you resume it")
    phone.press("Resume")
    withdraw(phone, revoke=False)
    phone.reads("was taken back")


def test_api_keys_and_a_verdict_for_each(site, visit):
    good, bad = site.api_key(), site.api_key(known=False)
    phone = visit(site)
    begin(phone, "Gemini API key")
    phone.fill("Your API keys", f"my first: {good}\nand {bad}, thanks")
    phone.press("Go on")
    phone.reads("works", 30_000)
    phone.reads("revoked")
    phone.looks_right()
    phone.shot("verdicts")
    assert answers(site)
    phone.follow("To my private page")
    phone.reads("Needs you")
    phone.shot("private-page")
    text = phone.page.content()
    assert good not in text
    assert bad not in text


def test_an_invitation_is_asked_for(closed_site, visit):
    phone = visit(closed_site)
    begin(phone, "Gemini API key")
    phone.fill("Your API keys", closed_site.api_key())
    phone.press("Go on")
    phone.reads("by invitation")
    phone.fill("Invitation code", "winter-water-7")
    phone.tick("I have read this")
    phone.press("Go on")
    phone.reads("does not fit")
    phone.looks_right()
    phone.shot("wrong-code")
    phone.page.get_by_label("Gemini API key", exact=True).check()
    phone.fill("Your API keys", closed_site.api_key())
    phone.fill("Invitation code", INVITE_CODE)
    phone.tick("I have read this")
    phone.press("Go on")
    phone.reads("Thank you: it works", 30_000)


def test_no_at_google_is_said_and_can_be_thought_over(site, google, visit, bob):
    google.script("consent_denied", times=1)
    phone = visit(site)
    begin(phone)
    paste(phone, consent_by_paste(phone))
    phone.reads("Stopped at")
    phone.looks_right()
    phone.shot("denied")
    address = phone.copied_address(lambda: phone.follow("Go to Google"))
    paste(phone, address)
    phone.reads("Thank you: it works")


def test_a_paste_that_is_something_else_says_what_it_is(site, visit, bob):
    phone = visit(site)
    begin(phone)
    address = consent_by_paste(phone)
    for wrong in ("hello", phone.page.url, f"{site.google.url}/o/oauth2/v2/auth?client_id=x"):
        paste(phone, wrong)
        phone.reads("Stopped at: reading what you pasted.")
        phone.looks_right()
    phone.shot("not-the-address")
    paste(phone, f"I copied this: <{address}>\nthank you!")
    phone.reads("Thank you: it works")


def test_an_attempt_that_waited_too_long_offers_to_begin_again(site, visit, bob):
    phone = visit(site)
    begin(phone)
    address = consent_by_paste(phone)
    site.hand("age_flows", minutes=11)
    paste(phone, address)
    phone.reads("Ten minutes have passed")
    phone.looks_right()
    phone.shot("expired")
    phone.follow("Begin again")
    phone.lands("/auth")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("unsupported_client", "retired by Google for individual accounts"),
        ("validation_required", "needs verification"),
    ],
)
def test_an_account_that_needs_its_owner_says_what_to_do(site, visit, state, words):
    login = site.login(client=site.oauth_client, state=state)
    site.google.consent_as = login["email"]
    phone = visit(site)
    begin(phone)
    paste(phone, consent_by_paste(phone))
    phone.reads("it needs you", 30_000)
    phone.reads(words)
    phone.looks_right()
    phone.shot("needs-you")
    phone.follow("To my private page")
    phone.reads("Needs you")
    phone.shot("private-page")


def test_several_projects_are_a_choice(site, google, visit):
    projects = ["first-project", "second-project"]
    login = site.login(client=site.oauth_client, project=None, projects=projects)
    google.consent_as = login["email"]
    phone = visit(site)
    begin(phone)
    paste(phone, consent_by_paste(phone))
    phone.reads("Which project?", 30_000)
    phone.looks_right()
    phone.shot("projects")
    phone.tick("second-project")
    phone.press("Take this one")
    phone.page.get_by_role("heading", level=1).get_by_text("it ").wait_for()
    phone.follow("To my private page")
    phone.shot("private-page")
    phone.reads(re.compile("second-project"))
