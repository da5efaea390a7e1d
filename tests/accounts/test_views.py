from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import selectors, services
from accounts.models import SetupToken, User

ACCOUNT = {"username": "alice", "password": "rather-long-words", "repeat": "rather-long-words"}


@pytest.fixture
def url(db):
    return reverse("accounts:setup", args=[services.make_setup_token()])


def test_an_open_link_shows_the_form_and_is_cached_nowhere(client, url):
    answer = client.get(url)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert b'name="repeat"' in answer.content


def test_the_first_operator_is_signed_in_and_shown_the_next_steps(client, url):
    answer = client.post(url, ACCOUNT, follow=True)
    assert answer.redirect_chain == [("/welcome", 302)]
    assert answer.context["user"] == User.objects.get(username="alice", role="operator")
    page = answer.content.decode()
    assert "curl -N http://testserver/v1/chat/completions" in page
    assert reverse("accounts:issue_key") in page
    assert reverse("admin:index") in page


def test_the_first_session_is_in_the_list(client, url):
    client.post(url, ACCOUNT)
    assert b"this one" in client.get("/account/sessions").content


def test_errors_are_shown_and_the_link_stays_open(client, url):
    answer = client.post(url, ACCOUNT | {"repeat": "another"})
    assert answer.status_code == 200
    assert b"The two passwords differ." in answer.content
    assert b"rather-long-words" not in answer.content
    assert not User.objects.exists()
    assert client.post(url, ACCOUNT).status_code == 302


def test_a_taken_name_is_said_on_the_page(client, url, bob):
    answer = client.post(url, ACCOUNT | {"username": "bob"})
    assert b"already exists" in answer.content


def test_a_used_link_explains_itself(client, url):
    client.post(url, ACCOUNT)
    client.logout()
    for answer in (client.get(url), client.post(url, ACCOUNT | {"username": "mallory"})):
        assert answer.status_code == 410
        assert b"has been used" in answer.content
    assert User.objects.count() == 1


def test_a_late_link_explains_itself(client, url, alice):
    answer = client.get(url)
    assert answer.status_code == 410
    assert b"already set up" in answer.content
    assert reverse("account_login").encode() in answer.content


def test_an_old_link_explains_itself(client, url):
    SetupToken.objects.update(created_at=timezone.now() - selectors.SETUP_LINK_LIFETIME)
    answer = client.get(url)
    assert answer.status_code == 410
    assert b"too old" in answer.content
    assert b"manage.py setup_link" in answer.content


def test_a_wrong_link_explains_itself(client, db):
    answer = client.get(reverse("accounts:setup", args=["guess"]))
    assert answer.status_code == 404
    assert b"does not fit" in answer.content


def test_whoever_comes_second_reads_why(client, url, monkeypatch):
    """The link is taken between the look at it and its use."""
    states = iter([selectors.LinkState.OPEN, selectors.LinkState.USED, selectors.LinkState.USED])
    monkeypatch.setattr(selectors, "setup_link_state", lambda token: next(states))
    answer = client.post(url, ACCOUNT)
    assert answer.status_code == 410
    assert b"has been used" in answer.content
    assert not User.objects.exists()


def test_the_next_steps_are_for_operators(client, bob):
    assert client.get("/welcome").url.startswith(reverse("account_login"))
    client.force_login(bob)
    assert client.get("/welcome").status_code == 403


def test_the_next_steps_lead_to_the_pool(client, alice):
    client.force_login(alice)
    page = client.get("/welcome").content.decode()
    for path in ("/credentials", "/credentials/import", "/auth"):
        assert f'href="{path}"' in page


def test_the_way_in_and_out_is_ours(client, bob):
    page = client.get(reverse("account_login")).content.decode()
    assert "<h1>Sign in</h1>" in page
    assert "Sign out" not in page
    wrong = client.post(reverse("account_login"), {"login": "bob", "password": "wrong"})
    assert "are not correct" in wrong.content.decode()
    client.force_login(bob)
    assert "Sign out" in client.get("/").content.decode()
    assert client.get("/sign-out").status_code == 405
    assert client.post("/sign-out").url == "/"
    assert "Sign out" not in client.get("/").content.decode()


def test_the_administration_has_no_door_of_its_own(client, bob, alice):
    assert client.post("/admin/login/", {"username": "alice", "password": "rather-long-words"})
    assert "_auth_user_id" not in client.session
    assert client.get("/admin/login/?next=/admin/").url == "/account/login?next=/admin/"
    assert client.get("/admin/").url == "/admin/login/?next=/admin/"
    client.force_login(bob)
    refused = client.get("/admin/", follow=True)
    assert refused.status_code == 403
    assert b"signed in as bob" in refused.content
    client.force_login(alice)
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize("method", ["put", "delete"])
def test_other_methods_are_refused(client, url, method):
    assert getattr(client, method)(url).status_code == 405
