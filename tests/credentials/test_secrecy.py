"""Secrets are planted, everything is made to speak, and what it said is searched."""

import io
import logging
import sys
import traceback

import httpx
import pytest
from django.core.management import call_command
from django.db import connection
from django.views.debug import ExceptionReporter

from credentials import selectors
from credentials.client import GoogleClient
from credentials.importers import parse
from credentials.models import Credential
from credentials.services import refresh_access_token
from gateway.lib.errors import GatewayError
from tests.credentials.samples import (
    ACCESS_TOKEN,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    api_key,
    as_bytes,
    gcli2api,
    store_key,
    store_login,
)

pytestmark = pytest.mark.django_db

PLANTED = (api_key(), ACCESS_TOKEN, REFRESH_TOKEN, CLIENT_SECRET)


def assert_silent(text: str) -> None:
    assert text
    assert not [secret for secret in PLANTED if secret in text]


def test_the_database_holds_no_secret_in_clear():
    store_key()
    store_login()
    said = []
    for table in ("credential", "modelstate", "statechange"):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM credentials_{table}")
            said += map(repr, cursor.fetchall())
    assert_silent("\n".join(said))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json={"error": "invalid_grant", "error_description": REFRESH_TOKEN}),
        httpx.Response(400, json={"error": REFRESH_TOKEN}),
        httpx.Response(401, json={"error": "invalid_client", "error_description": CLIENT_SECRET}),
        httpx.Response(500, text=REFRESH_TOKEN),
        httpx.ConnectError(REFRESH_TOKEN),
    ],
)
def test_a_failed_refresh_tells_no_secret(answer, caplog):
    caplog.set_level(logging.DEBUG)
    credential = store_login()

    def respond(request):
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = GoogleClient(transport=httpx.MockTransport(respond))
    with pytest.raises(GatewayError) as raised:
        refresh_access_token(credential.pk, ACCESS_TOKEN, client=client)
    credential.refresh_from_db()
    assert_silent(f"{raised.value!r} {raised.value} {credential.state_reason} {caplog.text}")


def test_an_error_page_with_all_its_variables_shows_no_secret():
    credential, changes = store_login(), selectors.usable_rows_since(0)
    items = parse("f.json", as_bytes(gcli2api()))
    opened = Credential.objects.get().secret.open()
    try:
        raise RuntimeError(f"{credential} {changes} {items} {opened}")
    except RuntimeError:
        error = sys.exc_info()
    said = "".join(traceback.format_exception(*error))
    reporter = ExceptionReporter(None, *error)
    assert_silent(said + reporter.get_traceback_html() + reporter.get_traceback_text())


def test_the_commands_print_and_log_no_secret(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "all.json"
    path.write_bytes(as_bytes([gcli2api(), gcli2api(refresh_token=""), api_key(), "1//x"]))
    out, err = io.StringIO(), io.StringIO()
    call_command("import_credentials", str(path), stdout=out, stderr=err)
    call_command("rotate_encryption_keys", stdout=out, stderr=err)
    assert_silent(out.getvalue() + err.getvalue() + caplog.text)
