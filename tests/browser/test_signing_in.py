"""The first operator sets up a second factor and comes back with it; a friend comes by an invitation."""

from __future__ import annotations

import re
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from tests.browser.conftest import running
from tests.browser.visitor import DESK, PHONE

PASSWORD = "quite-a-long-phrase"


@pytest.fixture
def guarded_site(tmp_path, google):
    """Operators need a second factor."""
    with running(tmp_path, google, REQUIRE_OPERATOR_2FA="true", SIGN_UP="invite") as site:
        yield site


def setup_link(site):
    printed = site.manage("setup_link")
    found = re.search(r"/setup/[\w-]+", printed)
    assert found, printed
    return found[0]


def code_for(secret, moment):
    return format_hotp_value(hotp_value(secret, moment))


@pytest.mark.parametrize(
    "options",
    [{"device": PHONE, "dark": True, "scripts": False}, {"device": DESK}],
    ids=["phone-without-scripts", "desk"],
)
def test_from_the_set_up_link_to_a_second_factor_and_back_in(guarded_site, visit, options):
    link = setup_link(guarded_site)
    alice = visit(guarded_site, **options)
    alice.go(link)
    alice.fill("Username", "alice")
    alice.fill("Password", PASSWORD)
    alice.fill("Password again", PASSWORD)
    alice.press("Make the account")
    alice.lands("/account/2fa/app")
    alice.shot("factor")
    alice.go("/users")
    alice.lands("/account/2fa/app")
    secret = alice.page.locator("#authenticator_secret").input_value()
    guarded_site.planted.add(secret)
    began = int(time.time()) // 30
    alice.fill("Authenticator code", code_for(secret, began))
    alice.press("Switch it on")
    alice.lands("/account/2fa/codes")
    alice.shot("codes")
    alice.go("/users")
    alice.reads("People")
    alice.shot("people")
    alice.go("/account")
    alice.reads("A second factor is asked for.")
    alice.shot("profile")
    alice.go("/account/sessions")
    alice.reads("this one")
    alice.press("Sign out everywhere")
    alice.lands("/account/login")
    alice.go(link)
    alice.reads("This link has been used")

    alice.go("/admin/login/?next=/users")
    alice.lands("/account/login")
    alice.fill("Username", "alice")
    alice.fill("Password", PASSWORD)
    alice.press("Sign in")
    alice.lands("/account/2fa/authenticate")
    alice.shot("ask-for-the-code")
    # A code works once; the next of the app's, or the one before, is accepted too.
    alice.fill(re.compile("code", re.I), code_for(secret, int(time.time()) // 30 + 1))
    alice.press("Sign in")
    alice.lands("/users")

    alice.page.get_by_label("Works for so many people").fill("2")
    alice.press("Make an invitation")
    alice.reads("Copy this link now")
    alice.shot("invitation")
    invitation = alice.page.locator("#link").inner_text().strip()
    code = invitation.partition("invite=")[2]
    guarded_site.planted.add(code)

    bob = visit(guarded_site, **options)
    bob.go("/account/signup")
    bob.reads("An invitation is needed")
    bob.shot("uninvited")
    bob.go(f"/account/signup?invite={code}")
    bob.lands("/account/signup")
    bob.reads("You are invited")
    bob.fill("Username", "bob")
    bob.fill("Password", PASSWORD)
    bob.fill(re.compile(r"Password \(again\)"), PASSWORD)
    bob.shot("sign-up")
    bob.press("Make my account")
    bob.lands("/account")
    bob.reads("Your password alone lets you in.")
