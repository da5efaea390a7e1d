from __future__ import annotations

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.db.utils import OperationalError

from gateway.lib.models import Revision
from gateway.lib.sql import ROWS_A_STATEMENT, batch, insert_many

TABLE = Revision._meta.db_table


def topics():
    return set(Revision.objects.filter(topic__startswith="t").values_list("topic", flat=True))


def insert(cursor, *names):
    insert_many(cursor, TABLE, ("topic", "number"), [(name, 1) for name in names])


@pytest.mark.django_db(transaction=True)
class TestByItself:
    def test_a_batch_is_committed(self):
        with batch() as cursor:
            insert(cursor, "t1", "t2")
        assert topics() == {"t1", "t2"}

    def test_a_batch_that_fails_leaves_nothing(self):
        def first_then_fail():
            with batch() as cursor:
                insert(cursor, "t1")
                insert(cursor, "t1")

        with pytest.raises(IntegrityError):
            first_then_fail()
        assert topics() == set()
        with batch() as cursor:
            insert(cursor, "t2")
        assert topics() == {"t2"}

    def test_the_drivers_errors_come_out_as_djangos(self):
        with pytest.raises(IntegrityError), batch() as cursor:
            insert(cursor, "t1", "t1")
        with pytest.raises((OperationalError, ProgrammingError)), batch() as cursor:
            cursor.execute("SELECT nonsense FROM nowhere")
        assert topics() == set()

    def test_more_rows_than_a_statement_takes(self):
        names = [f"t{n}" for n in range(ROWS_A_STATEMENT * 2 + 1)]
        with batch() as cursor:
            insert(cursor, *names)
        assert topics() == set(names)

    def test_values_come_back(self):
        with batch() as cursor:
            insert(cursor, "t1")
            cursor.execute(f"SELECT number FROM {TABLE} WHERE topic = %s", ("t1",))
            assert cursor.fetchone() == (1,)


@pytest.mark.django_db(transaction=True)
def test_inside_a_transaction_it_is_a_part_of_it():
    with transaction.atomic():
        with batch() as cursor:
            insert(cursor, "t1")
        transaction.set_rollback(True)
    assert topics() == set()
    assert not connection.in_atomic_block
