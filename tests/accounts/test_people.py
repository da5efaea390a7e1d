"""Signing in and signing up: each way, each mode, each state of an invitation."""

from __future__ import annotations

import re
import runpy
import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from allauth.account.adapter import get_adapter
from allauth.account.forms import ResetPasswordForm
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from allauth.socialaccount.models import SocialAccount, SocialLogin
from cryptography.fernet import Fernet
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import people_urls, services
from accounts.adapter import INVITATION, FactorAdapter, SocialAdapter
from accounts.models import Group, Invitation, InvitationUse, User
from accounts.services import invitations, joining, tokens
from gateway.lib.audit import AuditEntry
from gateway.lib.errors import Conflict, InvalidRequest, PermissionDenied

PASSWORD = "rather-long-words"
CREDIT = 1_000_000
FORM = {"username": "dora", "email": "", "password1": PASSWORD, "password2": PASSWORD}


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()
    yield
    cache.clear()


def code_of(**facts):
    (made,) = invitations.invite(**facts)
    return made.code


def spoiled(state):
    """The code of an invitation in this state; of none, an invented one."""
    if state == "none":
        return ""
    if state == "unknown":
        return "invented-by-somebody"
    code = code_of()
    row = Invitation.objects.filter(digest=invitations.digest_of(code))
    if state == "expired":
        row.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif state == "revoked":
        row.update(revoked_at=timezone.now())
    elif state == "used":
        row.update(uses=1)
    return code


def by_form(client, code):
    if code:
        client.get(f"/account/signup?invite={code}")
    return client.post("/account/signup", FORM)


def by_direct_post(client, code):
    """No page was looked at; the code lies in the session, from another visit."""
    if code:
        session = client.session
        session[INVITATION] = invitations.digest_of(code)
        session.save()
    return client.post("/account/signup", FORM)


def by_account_elsewhere(client, code):
    from allauth.socialaccount.internal.flows.signup import process_signup
    from django.contrib.auth.models import AnonymousUser
    from django.contrib.messages.storage.fallback import FallbackStorage
    from django.contrib.sessions.backends.db import SessionStore
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    request.session, request.user = SessionStore(), AnonymousUser()
    request._messages = FallbackStorage(request)
    if code:
        request.session[INVITATION] = invitations.digest_of(code)
    login = SocialLogin(user=User(username="dora"), account=SocialAccount(provider="oidc", uid="7"))
    from allauth.core.exceptions import ImmediateHttpResponse, SignupClosedException

    with context.request_context(request):
        try:
            return process_signup(request, login)
        except (ImmediateHttpResponse, SignupClosedException) as exc:
            return exc


WAYS = [by_form, by_direct_post, by_account_elsewhere]


@pytest.mark.django_db
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["open", "invite", "closed"])
@pytest.mark.parametrize("state", ["none", "unknown", "open", "expired", "revoked", "used"])
def test_who_may_sign_up(client, settings, way, mode, state):
    settings.SIGN_UP = mode
    way(client, spoiled(state))
    came = User.objects.filter(username="dora").first()
    assert (came is not None) == (mode == "open" or (mode == "invite" and state == "open"))
    if came is not None:
        assert came.role == "member"
        assert InvitationUse.objects.filter(user=came).exists() == (state == "open")
        assert came.has_usable_password() == (way is not by_account_elsewhere)


def test_the_page_looked_at_before_is_no_ticket(client, db, monkeypatch):
    """The last use goes to somebody else between the look at the page and its form."""
    code = code_of()
    client.get(f"/account/signup?invite={code}")
    monkeypatch.setattr(joining, "may_join", lambda digest: True)
    Invitation.objects.update(uses=1)
    answer = client.post("/account/signup", FORM)
    assert answer.status_code == 403
    assert "does not work any more" in answer.content.decode()
    assert not User.objects.exists()


def test_the_code_of_a_link_stays_in_no_address(client, db):
    code = code_of(note="for Dora")
    answer = client.get(f"/account/signup?invite={code}")
    assert (answer.status_code, answer.url) == (302, "/account/signup")
    assert code not in str(dict(client.session))
    assert "You are invited" in client.get("/account/signup").content.decode()


def test_a_code_can_be_typed(client, db):
    assert b"Your invitation" in client.get("/account/signup").content
    client.post("/account/signup", {"invite": f" {code_of()} "})
    assert client.get("/account/signup").status_code == 200


def test_the_invitation_says_role_and_group_and_the_group_what_one_begins_with(client, db):
    group = Group.objects.create(name="Friends", member_grant_micros=5 * CREDIT)
    by_form(client, code_of(role="contributor", group=group))
    dora = User.objects.get(username="dora")
    assert (dora.role, dora.group, dora.balance.remaining_micros) == (
        "contributor",
        group,
        5 * CREDIT,
    )
    assert not dora.balance.open_ended
    assert AuditEntry.objects.get(action="account.signed_up").actor == "dora"


def test_whoever_comes_joins_the_default_group(client, db, settings):
    settings.SIGN_UP = "open"
    group = services.save_group(
        group=None,
        changes={"name": "All", "is_default": True},
        member_limits={"day_micros": CREDIT},
    )
    by_form(client, "")
    dora = User.objects.get(username="dora")
    assert dora.group == group
    assert dora.balance.open_ended


def test_managers_come_by_a_password_only(client, db):
    code = code_of(role="operator")
    by_account_elsewhere(client, code)
    assert not User.objects.exists()
    by_form(client, code)
    dora = User.objects.get(username="dora")
    assert dora.is_operator
    assert dora.is_superuser


@pytest.mark.django_db
@pytest.mark.parametrize(
    "asked",
    [
        {"role": "operator", "max_uses": 2},
        {"role": "steward", "max_uses": 2},
        {"role": "operator", "expires_at": timezone.now() + timedelta(days=30)},
        {"role": "emperor"},
        {"max_uses": 0},
        {"count": 0},
        {"count": 100_000},
        {"expires_at": timezone.now() - timedelta(days=1)},
    ],
)
def test_invitations_that_nobody_makes(asked):
    with pytest.raises(InvalidRequest):
        invitations.invite(**asked)
    assert not Invitation.objects.exists()


def test_an_operators_invitation_ends_within_a_week(db):
    code_of(role="operator")
    assert Invitation.objects.get().expires_at <= timezone.now() + timedelta(days=7)


def test_a_taken_name_uses_no_invitation(client, charlie):
    code = code_of()
    client.get(f"/account/signup?invite={code}")
    answer = client.post("/account/signup", FORM | {"username": "charlie"})
    assert answer.status_code == 200
    assert Invitation.objects.get().uses == 0


@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_on_ten_uses_are_ten():
    digest = invitations.digest_of(code_of(max_uses=10))
    start = threading.Barrier(50)
    refused = []

    def come(number):
        start.wait()
        try:
            joining.join(user=User(username=f"p{number}"), digest=digest, by_password=True)
        except PermissionDenied as exc:
            refused.append(exc)
        finally:
            connection.close()

    threads = [threading.Thread(target=come, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (User.objects.count(), len(refused)) == (10, 40)
    assert Invitation.objects.get().uses == InvitationUse.objects.count() == 10


def test_social_accounts_do_not_lock_themselves_out(db, rf):
    user = User(username="dora")
    user.set_unusable_password()
    user.save()
    account = SocialAccount.objects.create(user=user, provider="oidc", uid="7")
    with pytest.raises(Exception, match="password"):
        SocialAdapter().validate_disconnect(account, [account])


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["panel-password", "Command", "nobody", "none", "12"])
def test_nobody_calls_themselves_what_the_audit_log_or_a_filter_takes_for_another(
    client, settings, name
):
    settings.SIGN_UP = "open"
    answer = client.post("/account/signup", FORM | {"username": name})
    assert "can not be used" in answer.content.decode()
    assert not User.objects.exists()


def test_names_that_differ_by_capitals_alone_lock_nobody_out(client, bob):
    with pytest.raises(ValidationError, match="already exists"):
        services.create_operator(username="Bob", password=PASSWORD)
    assert sign_in(client).status_code == 302


# ---------------------------------------------------------------- signing in


def sign_in(client, name="bob", password=PASSWORD, **extra):
    return client.post("/account/login", {"login": name, "password": password}, **extra)


def totp_of(user, secret="JBSWY3DPEHPK3PXP"):
    class Request:
        session = {}

    with context.request_context(Request()):
        TOTP.activate(user, secret)
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def test_guesses_for_one_account_are_throttled_wherever_they_come_from(client, bob):
    for number in range(5):
        assert (
            "not correct"
            in sign_in(client, password="wrong", REMOTE_ADDR=f"203.0.113.{number}").content.decode()
        )
    late = sign_in(client, REMOTE_ADDR="203.0.113.99")
    assert "Too many failed" in late.content.decode()
    assert "_auth_user_id" not in client.session


def test_guesses_of_one_address_are_throttled_whatever_header_it_sends(client, bob, charlie):
    for number in range(10):
        sign_in(client, f"nobody{number}", "wrong", HTTP_X_FORWARDED_FOR=f"198.51.100.{number}")
    assert "Too many failed" in sign_in(client).content.decode()
    assert sign_in(client, REMOTE_ADDR="203.0.113.9").status_code == 302


def test_secrets_of_factors_are_kept_by_no_browser(client, bob):
    sign_in(client)
    pages = [client.get("/account/2fa/app")]
    totp_of(bob)
    RecoveryCodes.activate(bob)
    pages.append(client.get("/account/2fa/codes"))
    for page in pages:
        assert page.status_code == 200
        assert "no-store" in page["Cache-Control"]


def test_a_second_factor_is_asked_for(client, bob):
    code = totp_of(bob)
    assert sign_in(client).url == "/account/2fa/authenticate"
    assert client.get("/account").status_code == 302
    assert client.post("/account/2fa/authenticate", {"code": "000000"}).status_code == 200
    assert client.get("/account").status_code == 302
    assert client.post("/account/2fa/authenticate", {"code": code}).status_code == 302
    assert client.get("/account").status_code == 200


@pytest.fixture
def code_at(monkeypatch):
    """code_at(half minutes from now); for codes the clock stands still."""
    now = time.time()
    still = SimpleNamespace(time=lambda: now)
    monkeypatch.setattr("allauth.mfa.totp.internal.auth.time", still)

    def code_at(moment):
        return format_hotp_value(hotp_value("JBSWY3DPEHPK3PXP", int(now) // 30 + moment))

    return code_at


def test_a_code_is_taken_once_whatever_the_cache_remembers(bob, code_at):
    totp_of(bob)

    def comes_in(code):
        cache.clear()  # half a minute later, or in another process
        client = Client()
        sign_in(client)
        client.post("/account/2fa/authenticate", {"code": code})
        return lives(client)

    assert comes_in(code_at(0))
    assert not comes_in(code_at(0))
    assert not comes_in(code_at(-1))
    assert comes_in(code_at(1))
    assert not comes_in(code_at(1))


def test_a_clock_that_was_set_back_locks_nobody_out(client, bob, code_at):
    totp_of(bob)
    row = Authenticator.objects.get()
    row.data["taken"] = int(time.time()) // 30 + 120
    row.save()
    sign_in(client)
    assert client.post("/account/2fa/authenticate", {"code": code_at(0)}).status_code == 302


def test_the_secret_of_the_app_is_kept_encrypted(bob):
    totp_of(bob, "JBSWY3DPEHPK3PXP")
    assert "JBSWY3DPEHPK3PXP" not in str(Authenticator.objects.get().data)


def test_the_secret_comes_under_the_newest_key(bob, settings):
    totp_of(bob)
    newest = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [newest, *settings.ENCRYPTION_KEYS]
    call_command("rotate_encryption_keys")
    settings.ENCRYPTION_KEYS = [newest]
    assert FactorAdapter().decrypt(Authenticator.objects.get().data["secret"]) == "JBSWY3DPEHPK3PXP"


@pytest.fixture
def required(settings):
    settings.REQUIRE_OPERATOR_2FA = True


@pytest.mark.usefixtures("required")
def test_an_operator_without_a_factor_reaches_nothing_but_its_set_up(client, alice):
    sign_in(client, "alice")
    for path in ("/", "/users", "/admin/", "/account", "/welcome", "/account/password/change"):
        assert client.get(path).url == "/account/2fa/app", path
    for path in ("/api/users", "/api/keys"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_required")
    assert client.post("/users/groups", {"name": "x"}).status_code == 403
    assert not Group.objects.exists()
    assert client.get("/account/2fa/app").status_code == 200
    secret = client.session["mfa.totp.secret"]
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    answer = client.post("/account/2fa/app", {"code": code}, follow=True)
    assert answer.redirect_chain[-1][0] == "/account/2fa/codes"
    assert client.get("/users").status_code == 200
    assert client.get("/api/users").status_code == 200
    # The one that is needed cannot be removed again.
    client.post("/account/2fa/app/remove")
    assert Authenticator.objects.filter(type="totp").exists()


@pytest.mark.usefixtures("required")
def test_the_set_up_link_leads_to_the_factor(client, db):
    token = services.make_setup_token()
    facts = {"username": "alice", "password": PASSWORD, "repeat": PASSWORD}
    answer = client.post(f"/setup/{token}", facts, follow=True)
    assert answer.redirect_chain[-1][0] == "/account/2fa/app"
    assert answer.status_code == 200


@pytest.mark.usefixtures("required")
def test_a_token_from_before_does_not_pass_by_the_factor(alice, bob):
    _, text = tokens.make_token(owner=bob, name="script", scopes_=["*"])
    script = Client(headers={"authorization": f"Bearer {text}"})
    assert script.get("/api/me").status_code == 200
    services.edit_user(user=bob, changes={"role": "operator"})
    answer = script.get("/api/users")
    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_required")
    totp_of(bob)
    assert script.get("/api/users").status_code == 200


@pytest.mark.usefixtures("required")
def test_nobody_else_is_asked_for_one(client, bob):
    sign_in(client)
    assert client.get("/account").status_code == 200


def test_without_the_setting_no_operator_is(client, alice):
    sign_in(client, "alice")
    assert client.get("/users").status_code == 200


# ---------------------------------------------------------------- sessions and roles


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def lives(client):
    return client.get("/account").status_code == 200


def test_ending_sessions_ends_all_of_one_person(bob, charlie):
    first, second, other = signed_in(bob), signed_in(bob), signed_in(charlie)
    services.end_sessions(user=bob)
    assert (lives(first), lives(second), lives(other)) == (False, False, True)


def test_signing_out_everywhere(bob):
    first, second = signed_in(bob), signed_in(bob)
    assert first.post("/account/everywhere").url == "/account/login"
    assert not lives(first)
    assert not lives(second)


def test_another_role_ends_sessions_and_the_same_does_not(alice, bob):
    client = signed_in(bob)
    services.edit_user(user=bob, changes={"email": "bob@example.org"})
    assert lives(client)
    services.edit_user(user=bob, changes={"role": "steward"})
    assert not lives(client)
    client = signed_in(User.objects.get(pk=bob.pk))
    services.edit_user(user=bob, changes={"is_active": False})
    services.edit_user(user=bob, changes={"is_active": True})
    assert not lives(client)


@pytest.mark.parametrize("changes", [{"role": "member"}, {"is_active": False}])
def test_nobody_leaves_a_door_open_for_themselves(alice, changes):
    anna = services.create_operator(username="anna", password=PASSWORD)
    codes = {role: code_of(role=role, created_by=anna) for role in ("operator", "member")}
    others = code_of(role="operator", created_by=alice)
    services.edit_user(user=anna, changes=changes)

    def works(code):
        return invitations.find(invitations.digest_of(code)) is not None

    assert not works(codes["operator"])
    assert works(codes["member"])
    assert works(others)


@pytest.mark.parametrize("changes", [{"role": "member"}, {"is_active": False}])
def test_the_last_operator_stays(alice, changes):
    with pytest.raises(Conflict, match="last operator"):
        services.edit_user(user=alice, changes=changes)
    alice.refresh_from_db()
    assert alice.is_operator
    services.create_operator(username="anna", password=PASSWORD)
    services.edit_user(user=alice, changes=changes)
    alice.refresh_from_db()
    assert not alice.is_operator


@pytest.mark.django_db(transaction=True)
def test_two_operators_who_leave_at_once_leave_one():
    both = [services.create_operator(username=name, password=PASSWORD) for name in ("a", "b")]
    start = threading.Barrier(2)
    refused = []

    def leave(user):
        start.wait()
        try:
            services.edit_user(user=user, changes={"role": "member"})
        except Conflict:
            refused.append(user)
        finally:
            connection.close()

    threads = [threading.Thread(target=leave, args=(user,)) for user in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert User.objects.filter(role="operator").count() == 1


def test_a_link_for_a_new_password_works_once(client, alice, bob):
    admin = signed_in(alice)
    link = admin.post(f"/api/users/{bob.pk}/password-link").json()["link"]
    path = link.removeprefix("http://testserver")
    form = client.get(path, follow=True)
    new = {"password1": "quite-other-words", "password2": "quite-other-words"}
    assert client.post(form.redirect_chain[-1][0], new).status_code == 302
    assert sign_in(Client(), password="quite-other-words").status_code == 302
    again = Client().get(path, follow=True)
    assert b"password1" not in again.content


def asking(email):
    """Whom a form for a new password that somebody fills in with this address sends a link."""
    form = ResetPasswordForm({"email": email})
    assert form.is_valid()
    return form.users


def test_an_address_that_was_left_gets_no_link_for_a_new_password(client, settings, db):
    settings.SIGN_UP = "open"
    client.post("/account/signup", FORM | {"email": "typing-error@example.org"})
    dora = User.objects.get()
    assert asking("typing-error@example.org") == [dora]
    client.post("/account", {"first_name": "", "last_name": "", "email": "Dora@Example.org"})
    assert asking("typing-error@example.org") == []
    assert asking("dora@example.org") == asking("Dora@example.org") == [dora]
    client.post("/account", {"first_name": "", "last_name": "", "email": ""})
    assert asking("dora@example.org") == []


def test_an_address_is_found_however_an_operator_wrote_it(db):
    dora = services.create_user(username="dora", email="Dora@Example.org")
    assert asking("dora@example.org") == [dora]


@pytest.mark.parametrize(
    ("public_url", "hosts", "asked"),
    [("", ["*"], False), ("https://pool.example.org", ["*"], True), ("", ["pool"], True)],
)
def test_mails_are_asked_for_where_their_link_is_known_to_lead_here(
    settings, public_url, hosts, asked
):
    settings.EMAIL_CONFIGURED, settings.PUBLIC_URL = True, public_url
    settings.ALLOWED_HOSTS = hosts
    routes = runpy.run_path(people_urls.__file__)["urlpatterns"]
    names = {getattr(route, "name", None) for route in routes}
    assert ("account_reset_password" in names) == asked


def test_the_link_in_a_mail_leads_here_whatever_host_the_asker_named(rf, settings):
    settings.PUBLIC_URL = "https://pool.example.org"
    request = rf.get("/account/password/reset", headers={"host": "evil.example"})
    with context.request_context(request):
        link = get_adapter().get_reset_password_from_key_url("1-abc")
    assert link == "https://pool.example.org/account/password/reset/key/1-abc"


def test_a_new_password_takes_back_nothing_that_an_operator_did_meanwhile(bob):
    theirs = User.objects.get(pk=bob.pk)
    services.edit_user(user=bob, changes={"is_active": False, "wallet_micros": CREDIT})
    get_adapter().set_password(theirs, "quite-other-words")
    bob.refresh_from_db()
    assert not bob.is_active
    assert bob.balance is not None
    assert bob.check_password("quite-other-words")


# ---------------------------------------------------------------- pages


def test_the_profile_tells_and_changes(client, bob):
    client.force_login(bob)
    services.edit_user(user=bob, changes={"wallet_micros": 3 * CREDIT}, limits={"rpm": 7})
    page = client.get("/account").content.decode()
    assert re.search(r"<b>3</b>\s+of 3 left", page)
    assert "7 requests a minute" in page
    client.post("/account", {"first_name": "Bob", "last_name": "", "email": "b@example.org"})
    bob.refresh_from_db()
    assert (bob.first_name, bob.email) == ("Bob", "b@example.org")
    assert AuditEntry.objects.get(action="account.edit").after == {
        "first_name": "Bob",
        "email": "b@example.org",
    }


def test_the_profile_changes_no_role(client, bob):
    client.force_login(bob)
    client.post("/account", {"first_name": "", "last_name": "", "email": "", "role": "operator"})
    bob.refresh_from_db()
    assert bob.role == "member"


def test_operators_invite_and_revoke_on_the_page(client, alice):
    client.force_login(alice)
    answer = client.post("/users/invite", {"role": "member", "max_uses": 3, "days": 7, "note": ""})
    link = re.search(r"http://testserver(/account/signup\?invite=[\w-]+)", answer.content.decode())
    visitor = Client()
    visitor.get(link[1])
    visitor.post("/account/signup", FORM)
    assert User.objects.filter(username="dora").exists()
    row = Invitation.objects.get()
    assert row.hint in client.get("/users").content.decode()
    client.post(f"/users/invitations/{row.pk}/revoke")
    row.refresh_from_db()
    assert row.revoked_at


def test_operators_make_groups_and_move_people_on_the_page(client, alice, bob):
    client.force_login(alice)
    client.post("/users/groups", {"name": "Friends", "member_grant": "2.5", "member_keys": 1})
    group = Group.objects.get(name="Friends")
    assert group.member_grant_micros == 2_500_000
    client.post(f"/users/{bob.pk}", {"role": "member", "group": group.pk, "is_active": "on"})
    bob.refresh_from_db()
    assert (bob.group, bob.balance.remaining_micros) == (group, 2_500_000)
    last = client.post(f"/users/{alice.pk}", {"role": "member", "is_active": "on"})
    assert b"last operator" in last.content


@pytest.mark.parametrize("path", ["/users", "/users/1"])
def test_the_people_are_for_operators(client, bob, path):
    assert client.get(path).url.startswith("/account/login?next=")
    client.force_login(bob)
    assert client.get(path).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/account",
        "/account/sessions",
        "/account/2fa/",
        "/account/password/change",
        "/account/reauthenticate",
        "/account/social",
    ],
)
def test_the_pages_of_an_account_open(client, bob, path):
    sign_in(client)
    answer = client.get(path)
    assert answer.status_code == 200
    assert b'<main id="main"' in answer.content


def test_the_administration_keeps_the_last_operator_and_notes_changes(client, alice, bob):
    client.force_login(alice)
    for user, role in ((alice, "member"), (bob, "steward")):
        path = f"/admin/accounts/user/{user.pk}/change/"
        facts = {"username": user.username, "role": role, "is_active": "on", "email": ""}
        assert client.post(path, facts | {"first_name": "", "last_name": ""}).status_code == 302
    alice.refresh_from_db()
    bob.refresh_from_db()
    assert (alice.role, bob.role) == ("operator", "steward")
    entry = AuditEntry.objects.get(action="users.edit")
    assert (entry.before, entry.after) == ({"role": "member"}, {"role": "steward"})
    assert client.post(f"/admin/accounts/user/{bob.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_password_that_is_set_in_the_administration_is_noted(client, alice, bob):
    client.force_login(alice)
    new = {"password1": "quite-other-words", "password2": "quite-other-words"}
    path = f"/admin/accounts/user/{bob.pk}/password/"
    assert client.post(path, new | {"usable_password": "true"}).status_code == 302
    entry = AuditEntry.objects.get(action="users.password")
    assert (entry.actor, entry.subject) == ("alice", "user bob")
    assert "quite-other-words" not in str(AuditEntry.objects.values())


def test_the_administration_gives_no_name_twice(client, alice, bob):
    client.force_login(alice)
    facts = {"username": "Alice", "role": "member", "is_active": "on", "email": ""}
    answer = client.post(f"/admin/accounts/user/{bob.pk}/change/", facts)
    assert answer.status_code == 200
    bob.refresh_from_db()
    assert bob.username == "bob"
