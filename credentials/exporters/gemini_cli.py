"""gemini-cli's `oauth_creds.json`: neither OAuth client nor project inside (reference 1.6)."""

from __future__ import annotations

from credentials.exporters.leaving import Leaving, as_bytes

TITLE = "gemini-cli: an oauth_creds.json for each Google account"
PROVIDERS = frozenset({"code_assist"})
LOCKED = False
LIST = False


def render(leaving: Leaving) -> bytes:
    secret = leaving.secret
    return as_bytes(
        {
            "access_token": secret.get("access_token", ""),
            "refresh_token": secret.get("refresh_token", ""),
            "scope": " ".join(secret.get("scopes") or []),
            "token_type": "Bearer",
            "expiry_date": int((secret.get("expires_at") or 0.0) * 1000),
        }
    )
