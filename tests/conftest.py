"""The cast: Alice owns, Bob contributes, Charlie has no access."""

from __future__ import annotations

import pytest
from django.db import connection

from gateway.lib.append_only import unguarded

pytest_plugins = ["tests.services"]

APPEND_ONLY = ("quotas_entry", "gateway_auditentry")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Tables are emptied after a test, so these may be emptied; no row may be changed. What the migrations really leave behind is tried by
    tests/gateway/test_append_only.py, on databases of its own."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for table in APPEND_ONLY:
            for statement in unguarded(connection.vendor, table, ("delete", "truncate")):
                cursor.execute(statement)
