import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.db import connection

from credentials.models import Credential
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.fields import Sealed
from tests.credentials.samples import api_key, store_key

pytestmark = pytest.mark.django_db


def at_rest() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM credentials_credential")
        return cursor.fetchone()[0]


def test_the_database_holds_ciphertext_and_the_model_opens_it():
    credential = Credential.objects.get(pk=store_key().pk)
    assert api_key() not in at_rest()
    assert credential.secret.open() == {"api_key": api_key()}


def test_a_mapping_is_sealed_when_it_is_assigned():
    credential = Credential(provider="gemini_api", secret={"api_key": api_key()})
    assert isinstance(credential.secret, Sealed)
    credential.save()
    credential.refresh_from_db()
    assert credential.secret.open() == {"api_key": api_key()}


def test_a_query_can_write_a_mapping():
    store_key()
    Credential.objects.update(secret={"api_key": "another"})
    assert "another" not in at_rest()
    assert Credential.objects.get().secret.open() == {"api_key": "another"}


def test_neither_the_sealed_nor_the_opened_value_shows_itself():
    sealed = store_key().secret
    shown = f"{sealed!r} {sealed} {sealed.open()!r} {sealed.open()}"
    assert api_key() not in shown
    assert sealed.token not in shown


def test_loading_and_saving_leave_an_unreadable_secret_as_it_is(settings):
    keys = settings.ENCRYPTION_KEYS
    store_key()
    before = at_rest()
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    credential = Credential.objects.get()
    credential.label = "renamed"
    credential.save()
    with pytest.raises(SecretUnreadable):
        credential.secret.open()
    assert at_rest() == before
    settings.ENCRYPTION_KEYS = keys
    assert credential.secret.open() == {"api_key": api_key()}


def test_a_deferred_secret_is_loaded_when_it_is_asked_for():
    store_key()
    assert Credential.objects.defer("secret").get().secret.open() == {"api_key": api_key()}


def test_a_dump_holds_ciphertext_and_loads_again():
    store_key()
    dump = serializers.serialize("json", Credential.objects.all())
    assert api_key() not in dump
    loaded = next(serializers.deserialize("json", dump)).object
    assert loaded.secret.open() == {"api_key": api_key()}
