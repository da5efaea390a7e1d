import pytest
from django.db import IntegrityError, transaction

from credentials.models import Credential, ModelState
from credentials.states import Standing, State
from tests.credentials.samples import api_key, store_key

pytestmark = pytest.mark.django_db


def test_the_same_secret_for_the_same_project_cannot_stand_twice():
    first = store_key()
    twin = Credential(provider="gemini_api", secret={}, fingerprint=first.fingerprint)
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save()


def test_a_weight_of_nothing_is_refused():
    with pytest.raises(IntegrityError), transaction.atomic():
        Credential.objects.filter(pk=store_key().pk).update(weight=0)


def test_a_standing_survives_the_database():
    credential = store_key()
    credential.standing = standing = Standing(
        State.EXHAUSTED, "daily_quota", 1_900_000_000.0, "https://example.org/"
    )
    credential.save()
    assert Credential.objects.get().standing == standing
    row = ModelState(credential=credential, model="m")
    row.standing = Standing(State.MISSING, "limit_zero", 1_900_000_000.0)
    row.save()
    assert ModelState.objects.get().standing.until == 1_900_000_000.0


def test_names_of_rows_hold_no_secret():
    credential = store_key()
    unnamed = Credential(pk=7, provider="gemini_api", secret={"api_key": api_key()})
    for row in (credential, unnamed):
        assert api_key() not in f"{row} {row!r} {row.__dict__}"
