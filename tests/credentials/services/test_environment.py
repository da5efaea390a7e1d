import base64
import json

import pytest

from credentials.models import Credential
from credentials.services import environment
from gateway.lib.audit import AuditEntry
from tests.credentials.samples import REFRESH_TOKEN, adc, gcli2api, store_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def variables(settings):
    settings.ENV_CREDENTIALS = {
        "GCLI_CREDS_1": json.dumps(gcli2api()),
        "GCLI_CREDS_WORK": json.dumps(gcli2api(refresh_token="1//work")),
        "GOOGLE_CREDENTIALS": base64.encodebytes(
            json.dumps(adc(refresh_token="1//adc")).encode()
        ).decode(),
    }
    return settings


def test_each_variable_is_a_credential_named_after_it(variables):
    loaded = environment.load(by="olga")
    assert [variable for variable, _ in loaded.results] == [
        "GCLI_CREDS_1",
        "GCLI_CREDS_WORK",
        "GOOGLE_CREDENTIALS",
    ]
    assert loaded.usable == 3
    numbered, other, named = environment.names()
    assert numbered.startswith("env-google_credentials-")
    assert other.startswith("env-made-up-project-1-")
    assert named.startswith("env-work-")


def test_the_next_start_changes_nothing(variables):
    environment.load(by="olga")
    before = list(Credential.objects.values_list("pk", "name", "revision"))
    assert environment.load(by="olga").usable == 3
    assert list(Credential.objects.values_list("pk", "name", "revision")) == before


def test_it_is_done_at_the_start_where_the_setting_says_so(variables):
    assert environment.load_at_start() == 0
    variables.AUTO_LOAD_ENV_CREDS = True
    assert environment.load_at_start() == 3
    assert Credential.objects.count() == 3


def test_only_what_came_in_this_way_is_forgotten_and_may_come_again(variables):
    other = store_key(1)
    environment.load(by="olga")
    gone = environment.forget(by="olga")
    assert len(gone) == 3
    assert environment.names() == []
    other.refresh_from_db()
    assert other.state == "active"
    assert AuditEntry.objects.get(action="credentials.forget_environment").detail == {"names": gone}
    environment.load(by="olga")
    assert len(environment.names()) == 3
    assert Credential.objects.count() == 4


def test_what_cannot_be_used_says_why_and_shows_nothing(settings):
    settings.ENV_CREDENTIALS = {
        "GCLI_CREDS_1": json.dumps({"type": "service_account", "private_key": "p"}),
        "GCLI_CREDS_2": json.dumps(gcli2api())[:-9],
        "GOOGLE_CREDENTIALS": "bm90aGluZyBoZXJl",
    }
    loaded = environment.load(by="olga")
    assert loaded.usable == 0
    reasons = {variable: result.reason for variable, result in loaded.results}
    assert "service account" in reasons["GCLI_CREDS_1"]
    assert "broken JSON" in reasons["GCLI_CREDS_2"]
    assert REFRESH_TOKEN not in repr(loaded)
