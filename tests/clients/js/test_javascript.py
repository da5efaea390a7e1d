"""The JavaScript rows."""

from __future__ import annotations

from tests.clients.harness import matrix
from tests.clients.js.clients import CLIENTS


@matrix(CLIENTS)
def test_javascript(play):
    play()
