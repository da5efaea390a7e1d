"""API keys, one a line."""

from __future__ import annotations

from credentials.exporters.leaving import Leaving

TITLE = "API keys: a text with one in each line"
PROVIDERS = frozenset({"gemini_api"})
LOCKED = False
LIST = True


def render(leaving: Leaving) -> bytes:
    return f"{leaving.secret.get('api_key', '')}\n".encode()
