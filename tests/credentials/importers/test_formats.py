"""The four OAuth formats, each by what is peculiar to it."""

import pytest

from credentials.importers import Found, Unusable, parse
from tests.credentials.samples import (
    ACCESS_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    FUTURE,
    REFRESH_TOKEN,
    adc,
    as_bytes,
    cliproxyapi,
    gcli2api,
    gemini_cli,
    id_token,
)


def one(value) -> Found:
    (item,) = parse("file.json", as_bytes(value))
    assert isinstance(item, Found), item
    return item


def reason(value) -> str:
    (item,) = parse("file.json", as_bytes(value))
    assert isinstance(item, Unusable)
    return item.reason


def test_gcli2api():
    found = one(gcli2api())
    assert (found.provider, found.project, found.source) == (
        "code_assist",
        "made-up-project",
        "file.json",
    )
    assert found.secret == {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
        "access_token": ACCESS_TOKEN,
        "expires_at": FUTURE,
        "token_uri": "https://oauth2.googleapis.com/token",
        "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
    }


@pytest.mark.parametrize(
    "expiry",
    ["2096-10-02T07:06:40Z", "2096-10-02T07:06:40", "2096-10-02T09:06:40+02:00"],
)
def test_gcli2api_expiry_with_z_naive_and_offset(expiry):
    assert one(gcli2api(expiry=expiry)).secret["expires_at"] == FUTURE


@pytest.mark.parametrize("expiry", ["soon", None, 12, "", "9999-99-99T00:00:00Z"])
def test_an_access_token_whose_end_is_unknown_is_left_out(expiry):
    secret = one(gcli2api(expiry=expiry)).secret
    assert (secret["access_token"], secret["expires_at"]) == ("", 0.0)


def test_gcli2api_after_a_refresh_names_the_token_access_token():
    fields = gcli2api(access_token="ya29.refreshed")
    assert one(fields).secret["access_token"] == "ya29.refreshed"
    del fields["token"]
    assert one(fields).secret["access_token"] == "ya29.refreshed"


def test_of_two_tokens_with_an_end_each_the_one_that_lives_longer_is_taken():
    secret = one(gcli2api(access_token="ya29.older", expiry_date=1_000_000)).secret
    assert (secret["access_token"], secret["expires_at"]) == (ACCESS_TOKEN, FUTURE)
    secret = one(gcli2api(access_token="ya29.newer", expiry_date=(FUTURE + 1) * 1000)).secret
    assert (secret["access_token"], secret["expires_at"]) == ("ya29.newer", FUTURE + 1)


def test_scopes_may_be_a_string():
    fields = gcli2api(scope="a b")
    del fields["scopes"]
    assert one(fields).secret["scopes"] == ["a", "b"]


def test_a_project_number_is_no_project():
    assert one(gcli2api(project_id="123456789012")).project == ""


def test_gemini_cli_has_milliseconds_and_an_address_in_its_id_token():
    found = one(gemini_cli())
    assert (found.email, found.project, found.label) == (
        "alice@example.org",
        "",
        "alice@example.org",
    )
    assert (found.secret["client_id"], found.secret["expires_at"]) == ("", FUTURE)
    assert found.secret["scopes"] == ["https://www.googleapis.com/auth/cloud-platform", "openid"]


@pytest.mark.parametrize(
    "token", ["", "a.b.c", "not a token", "..", id_token({"email": 7}), "e30.bnVsbA.c2ln", None, 4]
)
def test_gemini_cli_with_an_unreadable_id_token_has_no_address(token):
    assert one(gemini_cli(id_token=token)).email == ""


@pytest.mark.parametrize("expiry", ["NaN", "inf", -1, [], "x", 10**400])
def test_gemini_cli_with_an_unreadable_expiry_is_refreshed_first(expiry):
    assert one(gemini_cli(expiry_date=expiry)).secret["access_token"] == ""


def test_adc_takes_its_quota_project_for_no_more_than_a_hint():
    found = one(adc())
    assert (found.project, found.email) == ("", "alice@example.org")
    assert (found.secret["client_id"], found.secret["access_token"]) == (CLIENT_ID, "")


def test_gcli2api_without_a_token_keeps_its_project():
    fields = gcli2api(type="authorized_user")
    del fields["token"]
    assert one(fields).project == "made-up-project"


def test_cliproxyapi_with_nanoseconds_in_its_expiry():
    found = one(cliproxyapi())
    assert (found.project, found.email) == ("made-up-project", "alice@example.org")
    assert found.secret["access_token"] == ACCESS_TOKEN
    assert found.secret["refresh_token"] == REFRESH_TOKEN
    assert int(found.secret["expires_at"]) == FUTURE


def test_cliproxyapi_with_several_projects_is_one_entry_each():
    items = parse(
        "file.json", as_bytes(cliproxyapi(project="project-one, project-two,project-one"))
    )
    assert [item.project for item in items] == ["project-one", "project-two"]
    assert len({item.secret["refresh_token"] for item in items}) == 1


def test_cliproxyapi_with_all_projects_leaves_the_choice_to_discovery():
    assert one(cliproxyapi(project="all")).project == ""


def test_without_a_refresh_token_a_login_is_of_no_use():
    for value in (gcli2api(refresh_token=""), gemini_cli(refresh_token=None)):
        assert "refresh_token" in reason(value)


def test_half_an_oauth_client_is_none():
    assert "client_secret" in reason(gcli2api(client_secret=""))


def test_a_service_account_is_refused_in_words():
    value = {
        "type": "service_account",
        "project_id": "p",
        "private_key": "-----BEGIN",
        "client_id": "1",
    }
    assert "service account" in reason(value)


def test_an_oauth_client_file_is_told_where_it_belongs():
    value = {"installed": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}}
    assert "GOOGLE_OAUTH_CLIENT_ID" in reason(value)


@pytest.mark.parametrize("make", [gcli2api, gemini_cli, adc, cliproxyapi])
@pytest.mark.parametrize("rubbish", [None, 7, [], {}, True, "\x00", "x" * 5000])
def test_rubbish_in_any_field_raises_nothing(make, rubbish):
    for name in make():
        for item in parse("file.json", as_bytes(make(**{name: rubbish}))):
            assert isinstance(item, Found | Unusable)


def test_a_found_credential_does_not_show_its_secret():
    assert REFRESH_TOKEN not in repr(one(gcli2api()))
    assert "made-up-project" not in repr(one(gcli2api()))
