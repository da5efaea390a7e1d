"""Whether the task broker can be reached."""

from __future__ import annotations

from celery import current_app
from kombu.exceptions import OperationalError


def answers(timeout_s: int = 2) -> bool:
    # A Redis that takes the connection and says nothing is away as well.
    limits = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    try:
        with current_app.connection_for_write(transport_options=limits) as connection:
            connection.ensure_connection(max_retries=1, timeout=timeout_s)
    except (OperationalError, OSError):
        return False
    return True
