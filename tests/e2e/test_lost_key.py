"""The key that seals the secrets is gone, or another one: said in words, nothing is overwritten, and giving it back mends all."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet

from tests.e2e.dialects import OPENAI, ask
from tests.e2e.gateway import Gateway, client_of
from tests.e2e.processes import eventually
from tests.e2e.test_credentials import as_cliproxyapi

RIGHT, WRONG = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def site(tmp_path, google):
    google.reset()
    gateway = Gateway(tmp_path, google, ENCRYPTION_KEYS=RIGHT)
    try:
        gateway.set_up()
        google.add_client(*gateway.oauth_client)
        yield gateway
    finally:
        gateway.stop()
    assert "Traceback" not in gateway.log.read_text()


def sealed(gateway):
    """What is stored of each credential: secret, state, and why."""
    return {row["id"]: row for row in gateway.hand("sealed")}


def test_with_another_key_nothing_is_overwritten_and_with_both_all_is_well(site, google, tmp_path):
    login = site.login()
    file = tmp_path / "login.json"
    file.write_text(json.dumps(as_cliproxyapi(login)))
    site.manage("import_credentials", str(file))
    [other] = site.hand(
        "store_all", stored=[{"provider": "gemini_api", "secret": {"api_key": site.api_key()}}]
    )
    key = site.key()
    before = sealed(site)

    site.change_settings(ENCRYPTION_KEYS=WRONG)
    site.restart()
    with client_of(site.url) as http:
        refused = ask(http, OPENAI, key)
        assert refused.status_code == 503
        assert "no_credential_available" in refused.text
    eventually(lambda: "fits none of ENCRYPTION_KEYS" in site.log.read_text(), "the log says why")
    said = site.manage("doctor", "--json", code=1)
    assert "fit none of ENCRYPTION_KEYS" in json.dumps(said)
    checked = site.manage("check_credentials", "--json")
    assert {row["verdict"] for row in checked["findings"]} == {"unreadable"}
    # The same login again, another one of the same account, an access token that ran out, and a change of keys: none may
    # seal anything anew.
    google.expire(login["access_token"])
    for again in (login, login | {"refresh_token": "1//" + "another" * 6}):
        file.write_text(json.dumps(as_cliproxyapi(again)))
        [item] = site.manage("import_credentials", str(file), "--json", code=None)["items"]
        assert item["outcome"] == "unusable"
        assert "ENCRYPTION_KEYS" in item["reason"]
    site.manage("rotate_encryption_keys", code=None)
    assert sealed(site) == before
    assert google.refreshes(login["email"]) == []

    site.change_settings(ENCRYPTION_KEYS=f"{WRONG},{RIGHT}")
    site.restart()
    with client_of(site.url) as http:
        for _ in range(4):
            assert ask(http, OPENAI, key).status_code == 200
    assert len(google.refreshes(login["email"])) == 1
    site.manage("rotate_encryption_keys")
    after = sealed(site)
    assert all(after[pk]["secret"] != before[pk]["secret"] for pk in (other, *before))

    site.change_settings(ENCRYPTION_KEYS=WRONG)
    site.restart()
    with client_of(site.url) as http:
        assert ask(http, OPENAI, key).status_code == 200


def test_a_key_that_is_none_stops_the_boot_in_words(site):
    site.change_settings(ENCRYPTION_KEYS="not-a-fernet-key")
    said = site.manage("check", code=1, errors=True)
    assert "ENCRYPTION_KEYS: number 1 is not a Fernet key" in said
