"""By what two pastes of the same secret are known to be one credential."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any


def fingerprint(text: str) -> str:
    """SHA-256 in hex; the text has enough entropy of its own."""
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_of(secret: Mapping[str, Any]) -> str:
    """Of the part that identifies: the API key, or the refresh token."""
    return fingerprint(secret.get("api_key") or secret["refresh_token"])
