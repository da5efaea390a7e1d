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


def masked_email(email: str) -> str:
    """Enough for its owner to know it by: "al…e@example.org"."""
    name, at, host = email.rpartition("@")
    if not at:
        return f"{host[:2]}…" if host else ""
    return f"{name[:2]}…{name[-1]}@{host}" if len(name) > 4 else f"{name[:1]}…@{host}"


def masked_key(api_key: str) -> str:
    return f"key …{api_key[-4:]}" if len(api_key) >= 12 else "key"
