"""gcli2api: one flat JSON object a login (reference 1.6)."""

from __future__ import annotations

from credentials.exporters.leaving import Json, Leaving, as_bytes, exchange_uri, iso

TITLE = "gcli2api: a JSON file for each Google account"
PROVIDERS = frozenset({"code_assist"})
LOCKED = False
LIST = False


def render(leaving: Leaving) -> bytes:
    """gcli2api refuses a file without `token_uri`."""
    return as_bytes(fields(leaving) | {"token_uri": exchange_uri(leaving)})


def fields(leaving: Leaving) -> Json:
    client_id, client_secret = leaving.client
    secret = leaving.secret
    said: Json = {
        "client_id": client_id,
        "client_secret": client_secret,
        "token": secret.get("access_token", ""),
        "refresh_token": secret.get("refresh_token", ""),
        "scopes": secret.get("scopes") or [],
        "token_uri": secret.get("token_uri", ""),
        "project_id": leaving.project,
        "expiry": iso(secret.get("expires_at") or 0.0),
    }
    if leaving.email:
        said["user_email"] = leaving.email
    return said
