from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from credentials.models import Credential
from credentials.services import store
from tests.apiproxy.conftest import API_KEYS


@pytest.fixture
def upstream(fake, settings, lent):
    settings.GEMINI_API_URL = settings.CODE_ASSIST_ENDPOINT = settings.OAUTH_PROXY_URL = fake.url
    settings.RESOURCE_MANAGER_API_URL = settings.SERVICE_USAGE_API_URL = fake.url
    return fake


def check(*ids):
    out = io.StringIO()
    call_command("check_credentials", *map(str, ids), "--json", stdout=out)
    return {f["label"]: f for f in json.loads(out.getvalue())["findings"]}


def test_a_working_key_works(upstream):
    found = check()
    assert {f["verdict"] for f in found.values()} == {"works"}
    assert len(upstream.calls()) == 2


@pytest.mark.parametrize(
    ("row", "verdict", "usable", "state"),
    [
        ("api_key_invalid", "revoked", False, "expired"),
        ("suspended", "banned by Google", False, "needs_attention"),
        ("service_disabled", "misconfigured", False, "needs_attention"),
        ("quota_day", "rate-limited", True, "active"),
        ("location", "not served from here", False, "active"),
        ("server", "unreachable", False, "active"),
    ],
)
def test_what_is_wrong_is_said_and_recorded(upstream, lent, row, verdict, usable, state):
    upstream.script("error", error=row, credential=API_KEYS[0])
    found = check(lent[0])["AIzaAA"]
    assert (found["verdict"], found["usable"]) == (verdict, usable)
    assert API_KEYS[0] not in json.dumps(found)
    assert Credential.objects.get(pk=lent[0]).state == state


def test_a_working_probe_brings_a_credential_back(upstream, lent):
    upstream.script("error", error="suspended", credential=API_KEYS[0], times=1)
    check(lent[0])
    assert check(lent[0])["AIzaAA"]["verdict"] == "works"
    assert Credential.objects.get(pk=lent[0]).state == "active"


def test_an_account_google_retired_says_the_way_out(upstream):
    upstream.add_account(
        access_token="ya29.x",
        refresh_token="1//x",
        client_id="c",
        client_secret="s",
        project="p",
        email="bob@example.com",
        state="unsupported_client",
    )
    secret = {
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "1//x",
        "access_token": "ya29.x",
        "expires_at": 4e9,
    }
    pk = store(provider="code_assist", secret=secret, label="bob").pk
    found = check(pk)["bob"]
    assert found["verdict"] == "retired by Google for individual accounts"
    assert "licence" in found["detail"]


def test_lines_for_people(upstream, capsys):
    call_command("check_credentials")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1] for line in lines[:2]] == ["works", "works"]
    assert lines[-1] == "2 of 2 usable"


def test_an_unknown_id_is_refused(upstream):
    with pytest.raises(CommandError, match="no credential 999"):
        call_command("check_credentials", "999")
