"""Whether the task broker can be reached."""

from __future__ import annotations

from celery import current_app
from kombu.exceptions import OperationalError


def answers(timeout_s: int = 2) -> bool:
    try:
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=timeout_s)
    except (OperationalError, OSError):
        return False
    return True
