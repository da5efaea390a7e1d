import json

import pytest
from django.test import Client

from credentials.importers import Found, parse
from credentials.models import Credential
from gateway.lib.audit import AuditEntry
from tests.credentials.samples import api_key, store_key, store_login
from tests.credentials.uploading import client_of

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


def export(client, **body):
    return client.post("/api/credentials/export", json.dumps(body), content_type="application/json")


@pytest.fixture
def operator():
    return client_of("operator")


def test_a_backup_of_what_a_filter_means(operator):
    store_login()
    store_key(1)
    answer = export(
        operator, format="wellspring", filter={"provider": "gemini_api"}, password=PASSWORD
    )
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    items = parse("b.zip", b"".join(answer.streaming_content), PASSWORD)
    found = [item for item in items if isinstance(item, Found)]
    assert [item.secret for item in found] == [{"api_key": api_key(1)}]
    assert AuditEntry.objects.get().actor == "operator"


def test_keys_of_chosen_ones(operator):
    store_key(1)
    second = store_key(2)
    answer = export(operator, format="keys", ids=[second.pk])
    assert b"".join(answer.streaming_content).decode() == f"{api_key(2)}\n"


@pytest.mark.parametrize(
    "body",
    [
        {"format": "keys"},
        {"format": "keys", "ids": [1], "filter": {}},
        {"format": "tar", "filter": {}},
        {"format": "wellspring", "filter": {}},
        {"format": "wellspring", "filter": {}, "password": "short"},
        {"format": "keys", "filter": {"nonsense": "1"}},
    ],
)
def test_what_makes_no_sense_is_a_400(operator, body):
    store_key(1)
    assert export(operator, **body).status_code == 400
    assert not AuditEntry.objects.exists()


def test_only_operators(operator):
    store_key(1)
    assert export(client_of("steward"), format="keys", filter={}).status_code == 403
    assert export(Client(), format="keys", filter={}).status_code == 401
    assert Credential.objects.exists()
    assert not AuditEntry.objects.exists()
