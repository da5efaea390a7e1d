"""The cast: Alice owns, Bob contributes, Charlie has no access."""

from __future__ import annotations

pytest_plugins = ["tests.services"]
