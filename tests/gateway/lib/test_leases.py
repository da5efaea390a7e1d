from __future__ import annotations

import threading

import pytest
from django.db import OperationalError, connection

from gateway.lib.leases import renewed

WAIT_S = 20


def test_it_is_renewed_until_the_work_is_over():
    times = []
    enough = threading.Event()

    def renew():
        times.append(threading.current_thread())
        if len(times) == 3:
            enough.set()
        return True

    with renewed(renew, every_s=0.01):
        assert enough.wait(WAIT_S)
    assert not times[0].is_alive()


def test_what_is_another_s_is_not_renewed():
    asked = []

    with renewed(lambda: bool(asked.append(1)), every_s=0.01):
        for thread in threading.enumerate():
            if thread.name == "lease":
                thread.join(WAIT_S)
    assert asked == [1]


@pytest.mark.django_db(transaction=True)
def test_a_broken_connection_is_not_kept():
    outcomes = []
    enough = threading.Event()

    def renew():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            outcomes.append("renewed")
        except Exception:
            outcomes.append("broken")
            raise
        if len(outcomes) == 1:
            # As when the server restarts: Django keeps the object, and every use of it fails.
            connection.connection.close()
            raise OperationalError("server closed the connection unexpectedly")
        enough.set()
        return True

    with renewed(renew, every_s=0.01):
        assert enough.wait(WAIT_S)
    assert set(outcomes) == {"renewed"}
