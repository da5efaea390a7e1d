import pytest
from django.db import connection, connections


@pytest.fixture
def shared_database(transactional_db, tmp_path):
    """A database that threads may write at once. SQLite's in-memory database makes writers fail instead of wait, so
    it is copied into a file; PostgreSQL is used as it is.
    """
    if connection.vendor != "sqlite" or not connection.is_in_memory_db():
        yield
        return
    settings = connections.settings["default"]
    in_memory, name = connections["default"], settings["NAME"]
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(tmp_path / "shared.sqlite3")])
    settings["NAME"] = str(tmp_path / "shared.sqlite3")
    del connections["default"]
    yield
    connections["default"].close()
    settings["NAME"] = name
    connections["default"] = in_memory
