"""The Python rows."""

from __future__ import annotations

from tests.clients.harness import matrix
from tests.clients.python.clients import CLIENTS


@matrix(CLIENTS)
def test_python(play):
    play()
