"""Signing in with an account elsewhere, all the way: from the button, by the provider, back with a code, to the session.

The providers' apps are on when the environment sets them. So the settings and the addresses are made here as a start with that
environment makes them, and stand for one test."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from allauth.core import context
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from allauth.socialaccount.models import SocialAccount, SocialToken
from allauth.socialaccount.providers import registry
from django.core.cache import cache
from django.test import Client
from django.urls import include, path
from django.utils.module_loading import import_string

from accounts import people_urls
from accounts.models import Group, Invitation, InvitationUse, User
from accounts.services import invitations
from gateway import urls
from gateway.lib.audit import AuditEntry
from gateway.settings import people
from tests.accounts.outside import CALLBACKS, CLIENT_ID, CLIENT_SECRET, Provider

ROOT = Path(__file__).parents[2]
PASSWORD = "rather-long-words"
BUTTONS = {"oidc": "Go on with Example login", "github": "Go on with GitHub"}
WAYS = sorted(BUTTONS)


@pytest.fixture
def provider():
    provider = Provider()
    yield provider
    provider.close()


def environment(provider):
    return {
        "OIDC_SERVER_URL": provider.url,
        "OIDC_CLIENT_ID": CLIENT_ID,
        "OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "OIDC_NAME": "Example login",
        "GITHUB_CLIENT_ID": CLIENT_ID,
        "GITHUB_CLIENT_SECRET": CLIENT_SECRET,
    }


@pytest.fixture(autouse=True)
def _switched_on(provider, settings, monkeypatch, db):
    for name, value in environment(provider).items():
        monkeypatch.setenv(name, value)
    made = runpy.run_path(people.__file__)
    for name in ("SOCIALACCOUNT_PROVIDERS", "OIDC_CONFIGURED", "GITHUB_CONFIGURED"):
        setattr(settings, name, made[name])
    registry.load()
    for app in made["PEOPLE_APPS"]:
        if ".providers." in app:
            (kind,) = import_string(f"{app}.provider.provider_classes")
            monkeypatch.setitem(registry.provider_map, kind.id, kind)
    addresses = ModuleType("addresses")
    here = runpy.run_path(people_urls.__file__)["urlpatterns"]
    addresses.urlpatterns = [path("account/", include(here)), *urls.urlpatterns]
    addresses.handler404, addresses.handler500 = urls.handler404, urls.handler500
    settings.ROOT_URLCONF = addresses
    github = "allauth.socialaccount.providers.github.views.GitHubOAuth2Adapter"
    monkeypatch.setattr(f"{github}.authorize_url", f"{provider.url}/login/oauth/authorize")
    monkeypatch.setattr(f"{github}.access_token_url", f"{provider.url}/login/oauth/access_token")
    monkeypatch.setattr(f"{github}.profile_url", f"{provider.url}/user")
    monkeypatch.setattr(f"{github}.emails_url", f"{provider.url}/user/emails")
    cache.clear()
    yield
    cache.clear()


def begin(client, way, page="/account/login", words=None):
    """Press the button of `page`."""
    looked = client.get(page).content.decode()
    forms = re.findall(r'<form method="post" action="([^"]+)">(.*?)</form>', looked, re.DOTALL)
    words = words or BUTTONS[way]
    (action,) = [action for action, rest in forms if words in " ".join(rest.split())]
    return client.post(action.replace("&amp;", "&"))


def agree(answer):
    """At the provider: -> the address it sends the browser to."""
    told = requests.get(answer.url, allow_redirects=False, timeout=5)
    assert told.status_code == 302, told.text
    return told.headers["Location"]


def go(client, way, **where):
    return client.get(agree(begin(client, way, **where)))


def words_of(answer):
    return " ".join(answer.content.decode().split())


def is_page(answer):
    return '<main id="main"' in answer.content.decode()


def name_of(client):
    key = client.session.get("_auth_user_id")
    return User.objects.get(pk=key).username if key else None


def connect(client, user, way="oidc"):
    client.post("/account/login", {"login": user.username, "password": PASSWORD})
    label = BUTTONS[way].replace("Go on with", "Connect")
    answer = go(client, way, page="/account/social", words=label)
    assert (answer.status_code, answer.url) == (302, "/account/social")
    return answer


def test_the_environment_switches_them_on(provider, tmp_path):
    """A process of its own: what the rest of these tests puts together is what a start with that environment has."""
    program = (
        "import django; django.setup(); from django.core.management import call_command as call;"
        "from django.urls import reverse; call('check'); call('makemigrations', check=True);"
        "print(reverse('openid_connect_callback', args=['oidc']), reverse('github_callback'))"
    )
    known = {"DJANGO_SETTINGS_MODULE": "gateway.settings.base", "ENV_FILE": ""}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**known, "DATA_DIR": str(tmp_path), **environment(provider)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    here = [urlsplit(address).path for address in CALLBACKS.values()]
    assert done.stdout.split()[-2:] == here
    told = (ROOT / ".env.example").read_text()
    assert all(address in told for address in here)


# ---------------------------------------------------------------- signing up


@pytest.mark.parametrize("way", WAYS)
def test_on_an_open_site_whoever_comes_is_signed_up_and_signed_in(client, settings, provider, way):
    settings.SIGN_UP = "open"
    group = Group.objects.create(name="All", is_default=True, member_grant_micros=5)
    answer = go(client, way)
    assert (answer.status_code, answer.url) == (302, "/account")
    dora = User.objects.get()
    assert (dora.username, dora.email, dora.role) == ("dora", "dora@example.org", "member")
    assert (dora.group, dora.is_staff, dora.has_usable_password()) == (group, False, False)
    assert dora.balance.remaining_micros == 5
    assert client.get("/account").status_code == 200
    assert AuditEntry.objects.filter(action="account.signed_up", actor="dora").exists()
    assert AuditEntry.objects.filter(action="account.signed_in", actor="dora").exists()
    # Nothing of the provider's is kept by which one could act there.
    assert not SocialToken.objects.exists()
    assert provider.refused == []


@pytest.mark.parametrize("way", WAYS)
def test_the_second_time_it_is_the_same_person(client, settings, provider, way):
    settings.SIGN_UP = "open"
    go(client, way)
    settings.SIGN_UP = "closed"
    # The name there is no identity: it may change.
    provider.oidc["preferred_username"] = provider.github["login"] = "theodora"
    later = Client()
    assert go(later, way).url == "/account"
    assert name_of(later) == "dora"
    assert User.objects.count() == SocialAccount.objects.count() == 1


@pytest.mark.parametrize("way", WAYS)
def test_without_an_invitation_it_is_told_what_is_missing(client, settings, way):
    settings.SIGN_UP = "invite"
    answer = go(client, way)
    assert answer.status_code == 403
    assert "An invitation is needed to sign up here" in words_of(answer)
    assert "Your invitation" in words_of(answer)
    assert (User.objects.count(), name_of(client)) == (0, None)


@pytest.mark.parametrize("way", WAYS)
def test_with_an_invitation_one_joins_as_it_says_and_uses_it(client, settings, provider, way):
    settings.SIGN_UP = "invite"
    group = Group.objects.create(name="Friends")
    (made,) = invitations.invite(role="contributor", group=group)
    client.get(f"/account/signup?invite={made.code}")
    assert go(client, way, page="/account/signup").url == "/account"
    dora = User.objects.get()
    assert (dora.role, dora.group) == ("contributor", group)
    assert InvitationUse.objects.get().user == dora
    assert Invitation.objects.get().uses == 1
    # It is used up, for the next account there.
    provider.oidc["sub"], provider.github["id"] = "8", 8
    second = Client()
    second.get(f"/account/signup?invite={made.code}")
    assert "does not work any more" in words_of(go(second, way))
    assert (User.objects.count(), Invitation.objects.get().uses) == (1, 1)


def test_a_site_that_closes_before_the_form_is_sent_takes_nobody(client, settings, bob):
    settings.SIGN_UP = "open"
    User.objects.filter(pk=bob.pk).update(email="dora@example.org")
    page = go(client, "oidc").url
    settings.SIGN_UP = "closed"
    for answer in (client.get(page), client.post(page, {"username": "dora", "email": ""})):
        assert answer.status_code == 403
        assert "takes no new people" in words_of(answer)
    assert User.objects.count() == 1


def test_an_invitation_that_was_used_is_told(client, settings, provider):
    settings.SIGN_UP = "invite"
    (made,) = invitations.invite()
    client.get(f"/account/signup?invite={made.code}")
    Invitation.objects.update(uses=1)
    answer = go(client, "oidc")
    assert answer.status_code == 403
    assert "does not work any more" in words_of(answer)
    assert not User.objects.exists()


def test_nobody_becomes_an_operator_by_an_account_elsewhere(client, settings):
    settings.SIGN_UP = "invite"
    (made,) = invitations.invite(role="operator")
    client.get(f"/account/signup?invite={made.code}")
    answer = go(client, "oidc", page="/account/signup")
    assert answer.status_code == 403
    assert "sign up with a name and a password of your own" in words_of(answer)
    assert not User.objects.exists()
    assert not SocialAccount.objects.exists()
    assert Invitation.objects.get().uses == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_closed_site_takes_nobody(client, settings, way):
    settings.SIGN_UP = "closed"
    answer = go(client, way)
    assert answer.status_code == 403
    assert "takes no new people" in words_of(answer)
    assert "Your invitation" not in words_of(answer)
    assert (User.objects.count(), name_of(client)) == (0, None)


def test_a_name_that_is_taken_here_is_not_taken_over(client, settings, provider, bob):
    settings.SIGN_UP = "open"
    provider.oidc["preferred_username"] = "bob"
    assert go(client, "oidc").status_code == 302
    assert User.objects.count() == 2
    assert name_of(client) not in ("bob", None)


def test_whoever_gives_no_name_and_no_address_comes_in_too(client, settings, provider):
    settings.SIGN_UP = "open"
    provider.oidc = {"sub": "7"}
    assert go(client, "oidc").status_code == 302
    assert name_of(client)


# ---------------------------------------------------------------- whose account


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("blank", [True, False])
def test_the_address_of_somebody_else_links_nothing(
    client, settings, provider, bob, way, verified, blank
):
    settings.SIGN_UP = "open"
    User.objects.filter(pk=bob.pk).update(email="dora@example.org")
    provider.oidc["email_verified"] = verified
    answer = go(client, way)
    assert (answer.status_code, answer.url) == (302, "/account/social/signup")
    assert name_of(client) is None
    form = client.get(answer.url)
    assert form.status_code == 200
    assert "dora@example.org" in words_of(form)
    same = client.post(answer.url, {"username": "dora", "email": "dora@example.org"})
    assert same.status_code == 200
    assert "already exists with this email" in words_of(same)
    assert not SocialAccount.objects.exists()
    email = "" if blank else "other@example.org"
    assert client.post(answer.url, {"username": "dora", "email": email}).url == "/account"
    assert name_of(client) == "dora"
    account = SocialAccount.objects.get()
    assert account.user.username == "dora"
    assert account.user.email == email
    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)


def test_two_accounts_elsewhere_with_one_proven_address_stay_two_people(client, settings, provider):
    settings.SIGN_UP = "open"
    provider.oidc["email_verified"] = True
    go(client, "oidc")
    provider.oidc |= {"sub": "8", "preferred_username": "eve"}
    other = Client()
    answer = go(other, "oidc")
    assert answer.url == "/account/social/signup"
    assert other.post(answer.url, {"username": "eve", "email": ""}).url == "/account"
    assert name_of(other) == "eve"
    assert SocialAccount.objects.get(uid="7").user.username == "dora"


def test_one_account_elsewhere_makes_one_person_whatever_forms_lie_open(settings, bob):
    settings.SIGN_UP = "open"
    User.objects.filter(pk=bob.pk).update(email="dora@example.org")
    first, second = Client(), Client()
    page = go(first, "oidc").url
    assert go(second, "oidc").url == page
    assert first.post(page, {"username": "dora", "email": ""}).url == "/account"
    late = second.post(page, {"username": "theodora", "email": ""})
    assert late.status_code == 409
    assert "Sign in with it" in words_of(late)
    assert name_of(second) is None
    assert not User.objects.filter(username="theodora").exists()


@pytest.mark.parametrize("way", WAYS)
def test_somebody_connects_an_account_and_signs_in_by_it(client, settings, bob, way):
    settings.SIGN_UP = "closed"
    connect(client, bob, way)
    assert SocialAccount.objects.get().user == bob
    assert client.get("/account/social").status_code == 200
    later = Client()
    assert go(later, way).url == "/account"
    assert name_of(later) == "bob"
    bob.refresh_from_db()
    assert bob.email == ""
    # And takes it away again: they have a password.
    client.post("/account/social", {"account": SocialAccount.objects.get().pk})
    assert not SocialAccount.objects.exists()
    assert go(Client(), way).status_code == 403


def test_what_somebody_else_connected_is_not_taken_from_them(client, bob, charlie):
    connect(client, bob)
    other = Client()
    connect(other, charlie)
    assert "already connected to a different" in words_of(other.get("/account/social"))
    assert SocialAccount.objects.get().user == bob


def test_whoever_was_locked_out_does_not_come_in_by_another_door(client, bob):
    connect(client, bob)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    later = Client()
    answer = go(later, "oidc")
    assert answer.url == "/account/inactive"
    assert name_of(later) is None
    assert later.get(answer.url).status_code == 200


def test_a_page_asked_for_is_where_one_arrives(client, bob):
    connect(client, bob)
    later = Client()
    started = later.post("/account/oidc/oidc/login/?process=login&next=/account/sessions")
    assert later.get(agree(started)).url == "/account/sessions"
    elsewhere = Client()
    started = elsewhere.post("/account/oidc/oidc/login/?next=https://elsewhere.example/")
    assert elsewhere.get(agree(started)).url == "/account"


# ---------------------------------------------------------------- second factors


def test_an_operator_who_comes_from_elsewhere_needs_a_second_factor_too(settings, alice):
    connect(Client(), alice)
    settings.REQUIRE_OPERATOR_2FA = True
    client = Client()
    assert go(client, "oidc").status_code == 302
    assert name_of(client) == "alice"
    assert client.get("/users").url == "/account/2fa/app"
    assert client.get("/api/users").json()["code"] == "second_factor_required"
    assert client.get("/account/2fa/app").status_code == 200


def test_who_has_a_second_factor_is_asked_for_it(client, bob):
    connect(client, bob)

    class Request:
        session = {}

    secret = "JBSWY3DPEHPK3PXP"
    with context.request_context(Request()):
        TOTP.activate(bob, secret)
    later = Client()
    assert go(later, "oidc").url == "/account/2fa/authenticate"
    assert name_of(later) is None
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    assert later.post("/account/2fa/authenticate", {"code": code}).status_code == 302
    assert name_of(later) == "bob"


# ---------------------------------------------------------------- what goes wrong


def with_state(address, state):
    url = urlsplit(address)
    asked = {name: values[0] for name, values in parse_qs(url.query).items()} | {"state": state}
    return f"{url.path}?{urlencode(asked)}"


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_that_nobody_asked_for_is_refused(client, settings, provider, way):
    """Another state, none, somebody else's, and one that was used."""
    settings.SIGN_UP = "open"
    address = agree(begin(client, way))
    foreign = agree(begin(Client(), way))
    for wrong in (with_state(address, "invented"), urlsplit(address).path, foreign):
        answer = client.get(wrong)
        assert answer.status_code == 401
        assert is_page(answer)
        assert "Signing in elsewhere failed" in words_of(answer)
    assert not User.objects.exists()
    assert not {"/oidc/token", "/login/oauth/access_token"} & set(provider.asked)
    assert client.get(address).status_code == 302
    client.post("/account/logout")
    assert client.get(address).status_code == 401
    assert name_of(client) is None


def test_the_state_of_one_provider_is_no_good_for_another(client, settings):
    settings.SIGN_UP = "open"
    address = urlsplit(agree(begin(client, "oidc")))
    answer = client.get(f"/account/github/login/callback/?{address.query}")
    assert answer.status_code == 401
    assert not User.objects.exists()


@pytest.mark.parametrize("way", WAYS)
def test_whoever_says_no_there_is_told_so(client, provider, way):
    provider.denies = True
    answer = go(client, way)
    assert answer.url == "/account/social/cancelled"
    page = client.get(answer.url)
    assert page.status_code == 200
    assert is_page(page)
    assert "Nothing was changed here" in words_of(page)


def failed(answer):
    assert 400 <= answer.status_code < 600
    assert answer.status_code != 500
    assert is_page(answer)
    assert "Signing in elsewhere failed" in words_of(answer)
    assert not User.objects.exists()
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize(
    "told",
    [(500, b"{}"), (404, b"nothing"), (200, b"<html>"), (200, b"{}"), (200, b"[]"), (200, b"null")],
)
@pytest.mark.parametrize("moment", ["begin", "come back"])
def test_a_sign_on_server_without_its_description_is_told(client, settings, provider, told, moment):
    settings.SIGN_UP = "open"
    if moment == "come back":
        address = agree(begin(client, "oidc"))
    provider.answers["/.well-known/openid-configuration"] = told
    failed(begin(client, "oidc") if moment == "begin" else client.get(address))


@pytest.mark.parametrize(
    "told",
    [(500, b"{}"), (401, b'{"error": "x"}'), (200, b"<html>"), (200, b"{}"), (200, b"[]")],
)
@pytest.mark.parametrize(
    ("way", "place"),
    [
        ("oidc", "/oidc/token"),
        ("oidc", "/oidc/userinfo"),
        ("github", "/login/oauth/access_token"),
        ("github", "/user"),
    ],
)
def test_a_provider_that_answers_with_an_error_is_told(
    client, settings, provider, way, place, told
):
    settings.SIGN_UP = "open"
    address = agree(begin(client, way))
    provider.answers[place] = told
    answer = client.get(address)
    if place == "/oidc/userinfo" and told in ((200, b"{}"), (200, b"[]")):
        # Nothing more than the id_token says, which is who it is.
        assert name_of(client) == "dora"
    else:
        failed(answer)


@pytest.mark.parametrize("way", WAYS)
def test_a_provider_that_is_down_when_one_comes_back_is_told(client, settings, provider, way):
    settings.SIGN_UP = "open"
    address = agree(begin(client, way))
    provider.close()
    failed(client.get(address))


def test_a_sign_on_server_that_is_down_is_told_at_the_button(client, provider):
    provider.close()
    failed(begin(client, "oidc"))


@pytest.mark.parametrize(
    "claims",
    [{"aud": "another-client"}, {"iss": "https://elsewhere.example"}, {"exp": 1}],
)
def test_an_id_token_made_for_others_is_refused(client, settings, provider, claims):
    settings.SIGN_UP = "open"
    provider.claims = claims
    failed(go(client, "oidc"))


def test_a_wrong_secret_is_told(client, settings, provider, caplog):
    """To the visitor that it failed, to the operator, in the log, what the server said."""
    settings.SIGN_UP = "open"
    settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]["secret"] = "wrong"
    failed(go(client, "oidc"))
    assert provider.refused == ["invalid_client"]
    assert "invalid_client" in caplog.text
    assert CLIENT_SECRET not in caplog.text


@pytest.mark.parametrize("way", WAYS)
def test_the_providers_here_are_strict(client, settings, provider, way):
    name = {"oidc": "openid_connect", "github": "github"}[way]
    settings.SOCIALACCOUNT_PROVIDERS[name]["OAUTH_PKCE_ENABLED"] = False
    assert requests.get(begin(client, way).url, timeout=5).status_code == 400
    assert provider.refused == ["no PKCE"]


def test_a_server_that_takes_the_secret_in_the_header_only(client, settings, provider):
    settings.SIGN_UP = "open"
    provider.auth_methods = ["client_secret_basic"]
    assert go(client, "oidc").status_code == 302
    assert provider.refused == []


def test_looking_at_the_way_in_begins_nothing(client, provider):
    """A picture on another site could sign somebody in otherwise."""
    answer = client.get("/account/oidc/oidc/login/?process=login")
    assert answer.status_code == 200
    assert is_page(answer)
    assert provider.asked == []
    assert Client(enforce_csrf_checks=True).post("/account/oidc/oidc/login/").status_code == 403


def test_a_provider_nobody_set_is_not_there(client):
    assert client.get("/account/oidc/other/login/").status_code == 404
