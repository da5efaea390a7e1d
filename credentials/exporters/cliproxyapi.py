"""CLIProxyAPI: the login under `token`, a file for each project (reference 1.6)."""

from __future__ import annotations

from credentials.exporters.leaving import Leaving, as_bytes, exchange_uri, iso

TITLE = "CLIProxyAPI: a JSON file for each Google account"
PROVIDERS = frozenset({"code_assist"})
LOCKED = False
LIST = False


def render(leaving: Leaving) -> bytes:
    client_id, client_secret = leaving.client
    secret = leaving.secret
    token = {
        "access_token": secret.get("access_token", ""),
        "token_type": "Bearer",
        "refresh_token": secret.get("refresh_token", ""),
        "expiry": iso(secret.get("expires_at") or 0.0),
        "token_uri": exchange_uri(leaving),
        "client_id": client_id,
        "client_secret": client_secret,
        "scopes": secret.get("scopes") or [],
        "universe_domain": "googleapis.com",
    }
    return as_bytes(
        {
            "token": token,
            "project_id": leaving.project,
            "email": leaving.email,
            "auto": False,
            "checked": bool(leaving.project),
            "type": "gemini",
        }
    )
