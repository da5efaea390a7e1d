"""Calls are added to the use by day (credentials/selectors/usage.py reads it)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from django.db import connection

from credentials.models import Credential, DailyUse
from gateway.lib.sql import ROWS_A_STATEMENT, Cursor

UseKey = tuple[int, date, str, int]
"""(credential, day, model, status)"""

_TABLE = DailyUse._meta.db_table
_OF_CREDENTIALS = Credential._meta.db_table


def add_uses(cursor: Cursor, uses: Mapping[UseKey, Sequence[int]]) -> None:
    """Add [calls, input tokens, output tokens] to what is there: one statement for a batch. Credentials that are gone are
    passed over."""
    adapted = connection.ops.adapt_datefield_value
    # In one order everywhere, so that two processes never wait for each other's rows. The database is told as well, since it
    # may look through the credentials first.
    rows = [(*key[:1], adapted(key[1]), *key[2:], *counts) for key, counts in sorted(uses.items())]
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        some = rows[start : start + ROWS_A_STATEMENT]
        cursor.execute(
            f"INSERT INTO {_TABLE} AS known"
            " (credential_id, day, model, status, calls, input_tokens, output_tokens)"
            " SELECT * FROM (VALUES "
            + ", ".join(["(%s, %s, %s, %s, %s, %s, %s)"] * len(some))
            + ") AS given"
            f" WHERE EXISTS (SELECT 1 FROM {_OF_CREDENTIALS} WHERE id = given.column1)"
            " ORDER BY 1, 2, 3, 4"
            " ON CONFLICT (credential_id, day, model, status) DO UPDATE SET"
            " calls = known.calls + excluded.calls,"
            " input_tokens = known.input_tokens + excluded.input_tokens,"
            " output_tokens = known.output_tokens + excluded.output_tokens",
            [value for row in some for value in row],
        )
