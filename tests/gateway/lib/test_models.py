import pytest
from django.db import transaction

from gateway.lib.models import Revision, bump
from tests.credentials.samples import store_key


@pytest.mark.django_db
def test_each_topic_counts_for_itself():
    with transaction.atomic():
        first = bump("one")
        assert bump("one") == first + 1
        assert bump("two") == 1


@pytest.mark.django_db(transaction=True)
def test_a_number_belongs_to_the_transaction_of_its_change():
    with pytest.raises(transaction.TransactionManagementError):
        bump("one")


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_rolled_back_takes_its_number_back():
    class Undone(Exception):
        pass

    def change_and_fail():
        with transaction.atomic():
            bump("one")
            raise Undone

    with transaction.atomic():
        bump("one")
    with pytest.raises(Undone):
        change_and_fail()
    assert Revision.objects.get(topic="one").number == 1


@pytest.mark.django_db
def test_every_save_stamps_the_row_with_the_next_number():
    credential = store_key()
    before = credential.revision
    credential.label = "renamed"
    credential.save(update_fields=["label"])
    credential.refresh_from_db()
    assert credential.label == "renamed"
    assert credential.revision == before + 1 == Revision.objects.get(topic="credentials").number
