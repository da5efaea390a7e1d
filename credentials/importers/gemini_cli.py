"""gemini-cli's `oauth_creds.json`: no OAuth client and no project inside (reference 1.6)."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import msgspec

from credentials.importers.found import Found, Json, email_of, ms_epoch_s, oauth_found, text


def read(fields: Json, *, source: str) -> list[Found]:
    """Raises NotACredential."""
    access = text(fields, "access_token"), ms_epoch_s(fields.get("expiry_date"))
    email = _email_claim(text(fields, "id_token"))
    return [oauth_found(fields, source=source, access=access, email=email)]


def _email_claim(id_token: str) -> str:
    """The address in the JWT's middle part. Nobody checked its signature: good as a label of one's own file."""
    payload = id_token.split(".")[1] if id_token.count(".") == 2 else ""
    try:
        claims = msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return ""
    return email_of(claims.get("email")) if isinstance(claims, dict) else ""
