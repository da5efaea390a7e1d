"""Credentials on their way from a file to an answer, and what a client sees of their troubles: nothing."""

from __future__ import annotations

import json
import zipfile

import pytest

from tests.e2e.dialects import (
    MODEL,
    OPENAI,
    ask,
    ask_at_once,
    both_dialects,
    both_upstreams,
    only_sqlite,
)
from tests.e2e.processes import eventually


def as_gcli2api(login):
    return {
        "client_id": login["client_id"],
        "client_secret": login["client_secret"],
        "token": login["access_token"],
        "refresh_token": login["refresh_token"],
        "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
        "token_uri": "https://oauth2.googleapis.com/token",
        "project_id": login["project"],
        "expiry": "2096-10-02T07:06:40+00:00",
    }


def as_gemini_cli(login):
    return {
        "access_token": login["access_token"],
        "refresh_token": login["refresh_token"],
        "scope": "https://www.googleapis.com/auth/cloud-platform openid",
        "token_type": "Bearer",
        "expiry_date": 4_000_000_000_000,
    }


def as_adc(login):
    return {
        "type": "authorized_user",
        "client_id": login["client_id"],
        "client_secret": login["client_secret"],
        "refresh_token": login["refresh_token"],
        "account": login["email"],
        "universe_domain": "googleapis.com",
    }


def as_cliproxyapi(login):
    return {
        "token": {
            "access_token": login["access_token"],
            "token_type": "Bearer",
            "refresh_token": login["refresh_token"],
            "expiry": "2096-10-02T07:06:40.123456789Z",
            "token_uri": "https://oauth2.googleapis.com/token",
            "client_id": login["client_id"],
            "client_secret": login["client_secret"],
            "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
            "universe_domain": "googleapis.com",
        },
        "project_id": login["project"],
        "email": login["email"],
        "auto": True,
        "checked": True,
        "type": "gemini",
    }


FORMATS = [as_gcli2api, as_gemini_cli, as_adc, as_cliproxyapi]


def served_by(gateway, google, http, login):
    """Whether a call is answered by the person's login; the pool learns of it within a second."""
    key = gateway.key()

    def answered():
        response = ask(http, OPENAI, key)
        return response.status_code == 200 and google.calls(credential=login["email"])

    return eventually(answered, "the imported login serves")


@pytest.mark.parametrize("form", FORMATS)
def test_each_file_format_is_imported_and_serves(gateway, google, http, tmp_path, form):
    """Formats without a project discover theirs, those without an access token fetch one, and gemini-cli's has no
    client of its own."""
    gateway.lend()
    client = gateway.oauth_client if form is as_gemini_cli else None
    login = gateway.login(client=client)
    file = tmp_path / "login.json"
    file.write_text(json.dumps(form(login)))
    done = gateway.manage("import_credentials", str(file), "--json")
    assert done["new"] == 1
    [call, *_] = served_by(gateway, google, http, login)
    assert call.body["project"] == login["project"]
    assert len(google.refreshes(login["email"])) == (1 if form is as_adc else 0)


@only_sqlite
def test_a_dry_run_changes_nothing_and_a_second_import_adds_nothing(gateway, tmp_path):
    file = tmp_path / "login.json"
    file.write_text(json.dumps(as_gcli2api(gateway.login())))
    dry = gateway.manage("import_credentials", str(file), "--dry-run", "--json")
    assert (dry["new"], dry["dry_run"]) == (1, True)
    assert gateway.manage("import_credentials", str(file), "--json")["new"] == 1
    assert gateway.manage("import_credentials", str(file), "--json")["duplicate"] == 1


def test_a_zip_and_a_list_of_keys(gateway, google, http, tmp_path):
    gateway.lend()
    logins = [gateway.login() for _ in range(2)]
    keys = [gateway.api_key() for _ in range(2)]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("one.json", json.dumps(as_gcli2api(logins[0])))
        archive.writestr("folder/two.json", json.dumps(as_cliproxyapi(logins[1])))
        archive.writestr("broken.json", "{")
    (tmp_path / "keys.txt").write_text("first: {}\nGEMINI_API_KEY={}\n".format(*keys))
    done = gateway.manage(
        "import_credentials", str(tmp_path / "all.zip"), str(tmp_path / "keys.txt"), "--json"
    )
    assert (done["new"], done["unusable"]) == (4, 1)
    names = {*keys, *(login["email"] for login in logins)}
    key = gateway.key()

    def all_have_served():
        ask(http, OPENAI, key)
        return all(google.calls(credential=name) for name in names)

    eventually(all_have_served, "every imported credential serves")


@both_dialects
@both_upstreams
@pytest.mark.parametrize("stream", [False, True])
def test_the_first_credentials_429_is_never_seen(gateway, google, http, provider, dialect, stream):
    first, second = gateway.lend(provider, provider)
    error = "quota_minute" if provider == "gemini_api" else "ca_rate_short"
    google.script("error", credential=first.name, error=error, reset_s=200, retry_s=200)
    key = gateway.key()
    for _ in range(3):
        assert ask(http, dialect, key, stream=stream).status_code == 200
    assert len(google.calls(credential=second.name)) == 3
    assert 1 <= len(google.calls(credential=first.name)) <= gateway.workers
    assert gateway.balance(key)["used"] == 6
    eventually(
        lambda: gateway.hand("states", ids=[first.id])[0]["models"].get(MODEL),
        "the rest of the first is recorded",
    )
    assert gateway.hand("states", ids=[second.id])[0]["models"] == {}


@both_dialects
def test_a_refused_token_is_refreshed_once_and_the_client_sees_nothing(
    gateway, google, http, dialect
):
    [lent] = gateway.lend("code_assist")
    google.expire(lent.name)
    key = gateway.key()
    for stream in (False, True):
        assert ask(http, dialect, key, stream=stream).status_code == 200
    assert len(google.refreshes(lent.email)) == 1
    assert gateway.hand("states", ids=[lent.id])[0]["state"] == "active"


def test_many_calls_at_once_share_one_refresh(gateway, google):
    """In one process or two: Google sees one refresh."""
    [lent] = gateway.lend("code_assist")
    google.expire(lent.name)
    google.script("slow_refresh")
    answers = ask_at_once(gateway.url, OPENAI, gateway.key(), 20)
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len(google.refreshes(lent.email)) == 1


@only_sqlite
def test_a_revoked_login_is_out_and_the_next_one_answers(gateway, google, http):
    first, second = gateway.lend("code_assist", "code_assist")
    google.revoke(first.refresh_token)
    assert ask(http, OPENAI, gateway.key()).status_code == 200
    assert google.calls(credential=second.name)
    eventually(
        lambda: gateway.hand("states", ids=[first.id])[0]["state"] == "expired",
        "the revoked login is recorded",
    )


@only_sqlite
def test_a_login_of_the_retired_free_tier_needs_its_owner(gateway, google, http):
    login = gateway.login(state="unsupported_client")
    secret = {name: login[name] for name in ("client_id", "client_secret", "refresh_token")}
    [pk] = gateway.lend_stored(
        {"provider": "code_assist", "secret": secret, "email": login["email"]}
    )
    response = ask(http, OPENAI, gateway.key())
    assert response.status_code == 503
    state = eventually(
        lambda: (s := gateway.hand("states", ids=[pk])[0])["state"] != "active" and s,
        "the missing licence is recorded",
    )
    assert state["state"] == "needs_attention"
    assert state["reason"] == "retired_by_google"


def test_check_credentials_tells_the_verdict_of_each(gateway, google):
    good, bad = gateway.lend("gemini_api", "gemini_api")
    google.remove_api_key(bad.name)
    done = gateway.manage("check_credentials", "--json", str(good.id), str(bad.id))
    verdicts = {row["credential_id"]: row["verdict"] for row in done["findings"]}
    assert verdicts == {good.id: "works", bad.id: "revoked"}
