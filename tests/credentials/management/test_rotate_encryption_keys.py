import io
import json

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from credentials.models import Credential
from gateway.lib.fields import Sealed
from tests.credentials.samples import api_key, oauth_secret, store_key, store_login

pytestmark = pytest.mark.django_db


def rotate(*args: str) -> str:
    out = io.StringIO()
    call_command("rotate_encryption_keys", *args, stdout=out)
    return out.getvalue()


@pytest.fixture
def new_key():
    return Fernet.generate_key().decode()


def test_afterwards_the_old_key_is_not_needed(settings, new_key):
    key, login = store_key(), store_login()
    settings.ENCRYPTION_KEYS = [new_key, *settings.ENCRYPTION_KEYS]
    assert rotate().startswith("2 secrets")
    assert json.loads(rotate("--json")) == {"rotated": 2, "unreadable": []}
    settings.ENCRYPTION_KEYS = [new_key]
    assert Credential.objects.get(pk=key.pk).secret.open() == {"api_key": api_key()}
    assert Credential.objects.get(pk=login.pk).secret.open() == oauth_secret()


def test_a_secret_without_its_key_is_named_and_kept_and_the_others_go_on(settings, new_key):
    lost_key, old_keys = Fernet.generate_key().decode(), settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [lost_key]
    lost = store_key(1)
    settings.ENCRYPTION_KEYS = old_keys
    kept = store_key(2)
    settings.ENCRYPTION_KEYS = [new_key, *old_keys]
    with pytest.raises(CommandError) as raised:
        rotate()
    assert f"Credential {lost.pk}" in str(raised.value)
    settings.ENCRYPTION_KEYS = [new_key]
    assert Credential.objects.get(pk=kept.pk).secret.open() == {"api_key": api_key(2)}
    settings.ENCRYPTION_KEYS = [lost_key]
    assert Credential.objects.get(pk=lost.pk).secret.open() == {"api_key": api_key(1)}


def test_a_secret_that_is_renewed_meanwhile_is_not_overwritten(settings, new_key, monkeypatch):
    store_key(1)
    settings.ENCRYPTION_KEYS = [new_key, *settings.ENCRYPTION_KEYS]
    original = Sealed.renewed

    def renewed_while_somebody_writes(self):
        monkeypatch.setattr(Sealed, "renewed", original)
        Credential.objects.update(secret={"api_key": api_key(2)})
        return original(self)

    monkeypatch.setattr(Sealed, "renewed", renewed_while_somebody_writes)
    rotate()
    settings.ENCRYPTION_KEYS = [new_key]
    assert Credential.objects.get().secret.open() == {"api_key": api_key(2)}
