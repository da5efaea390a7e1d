"""Tables whose rows are written once: triggers refuse UPDATE and DELETE, and TRUNCATE where there is one.

    operations = [append_only("quotas_entry")]

Django makes a table anew on SQLite for many a change of its fields, and its triggers are gone then: a migration that does so ends
with the same operation again (tests/gateway/test_append_only.py finds one that does not).
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

_MESSAGE = "{table} is append-only"
_FUNCTION = "wellspring_append_only"


def append_only(table: str) -> migrations.RunPython:
    """An operation; undone, the table is as any other."""

    def forwards(apps: Any, schema_editor: Any) -> None:
        for statement in guards(schema_editor.connection.vendor, table):
            schema_editor.execute(statement, params=None)

    def backwards(apps: Any, schema_editor: Any) -> None:
        for statement in unguarded(schema_editor.connection.vendor, table):
            schema_editor.execute(statement, params=None)

    return migrations.RunPython(forwards, backwards)


def guards(vendor: str, table: str) -> list[str]:
    """The statements that put it under guard; a second time they change nothing."""
    if vendor == "sqlite":
        message = _MESSAGE.format(table=table)
        return [
            f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; "
        "END $$",
        *unguarded(vendor, table),
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {_FUNCTION}()",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {_FUNCTION}()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {_FUNCTION}()",
    ]


def unguarded(
    vendor: str, table: str, verbs: tuple[str, ...] = ("update", "delete", "truncate")
) -> list[str]:
    """The statements that take the guard away. The tests, which empty their tables, use them for some of the verbs."""
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {table}_no_{verb}" for verb in verbs]
    return [f"DROP TRIGGER IF EXISTS {table}_no_{verb} ON {table}" for verb in verbs]
