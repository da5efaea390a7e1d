"""Runs every client with every case and prints the table: `python -m tests.clients [pytest's arguments]`."""

from __future__ import annotations

import sys

import pytest

from tests.clients.table import Table


def main() -> int:
    # Work stealing keeps a client's cases together, so that hardly a driver starts twice.
    arguments = ["tests/clients", "-n", "2", "--dist", "worksteal", "-q", "--tb=short"]
    table = Table()
    exit_code = pytest.main([*arguments, *sys.argv[1:]], plugins=[table])
    sys.stdout.write(table.text())
    return int(exit_code)


if __name__ == "__main__":
    sys.exit(main())
