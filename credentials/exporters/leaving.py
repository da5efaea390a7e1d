"""One credential on its way out, and what the formats share in writing it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

Json = dict[str, Any]


class Leaving(Struct, frozen=True):
    """`secret` as `credentials.models.Credential.secret`. `client`: id and secret of the OAuth client it works with."""

    name: str
    provider: str
    secret: Json
    client: tuple[str, str] = ("", "")
    project: str = ""
    email: str = ""

    def __repr__(self) -> str:
        return f"Leaving({self.name!r})"


def as_bytes(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


def iso(epoch_s: float) -> str:
    """ISO 8601 in UTC; "" for an access token that is unknown."""
    return datetime.fromtimestamp(epoch_s, tz=UTC).isoformat() if epoch_s else ""


def exchange_uri(leaving: Leaving) -> str:
    """Where its refresh token is exchanged; Google's own when the login says nothing."""
    return str(leaving.secret.get("token_uri") or "https://oauth2.googleapis.com/token")
