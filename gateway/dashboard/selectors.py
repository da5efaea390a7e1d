"""What the pages show of several apps at once."""

from __future__ import annotations

import platform
from typing import Any

import django
from django.conf import settings
from django.db import connection

from apiproxy.selftest import journal
from apiproxy.selftest.table import table_of
from gateway import doctor
from quotas.selectors import processes


def system() -> dict[str, Any]:
    """versions, findings (of the doctor, upstreams left out), processes, selftest and its table."""
    selftest = journal.latest()
    return {
        "versions": versions(),
        "findings": list(doctor.examine(reach_out=False)),
        "processes": processes(lease_s=settings.HOLDER_LEASE_S),
        "selftest": selftest,
        "table": table_of(selftest.results) if selftest else None,
    }


def versions() -> list[tuple[str, str]]:
    return [
        ("Wellspring", settings.VERSION),
        ("Django", django.get_version()),
        ("Python", platform.python_version()),
        (connection.display_name, _database_version()),
    ]


def _database_version() -> str:
    return ".".join(map(str, connection.get_database_version()))
