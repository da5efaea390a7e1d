"""What an importer finds, and what the importers share in reading it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

Json = dict[str, Any]

_API_KEY = re.compile(r"AIza[0-9A-Za-z_-]{35}")
_PROJECT = re.compile(r"[a-z][a-z0-9.:-]{4,98}[a-z0-9]")
_MAX_NAME = 200
_SLASHES = re.compile(r"[/\\]")
_UNFIT_FOR_NAMES = re.compile(r"[\x00-\x1f\x7f\"*:<>?|\\/]")


class Known(Struct, frozen=True):
    """What the place it comes from knew of a credential, apart from the secret; everything may be unknown.

    `state`, `reason`, `help_url`, `until` as in `credentials.states.Standing`; `rests`: models that rest, until when
    (epoch seconds).
    """

    state: str = ""
    reason: str = ""
    help_url: str = ""
    until: float = 0.0
    rests: dict[str, float] = {}
    email: str = ""
    label: str = ""
    tier: str = ""
    preview: bool | None = None
    weight: int = 0
    tags: list[str] = []


NOTHING_KNOWN = Known()


class Found(Struct, frozen=True):
    """A credential ready to be stored. `secret` as `credentials.models.Credential.secret`; `source`: where it stood;
    `name`: the file name by which it was known there.
    """

    provider: str
    secret: Json
    source: str
    project: str = ""
    email: str = ""
    label: str = ""
    name: str = ""
    known: Known = NOTHING_KNOWN

    def __repr__(self) -> str:
        return f"Found({self.provider} in {self.source!r})"


class Unusable(Struct, frozen=True):
    """`reason`: words for the person who imports; never a piece of the content."""

    source: str
    reason: str


Item = Found | Unusable


class NotACredential(Exception):
    """Raised by the readers of one format; its text becomes `Unusable.reason`."""


def shown_name(name: str) -> str:
    """A path fit for a terminal, a page and a log, even when somebody named a file after a key, or tried to climb out of
    the folder with it."""
    printable = "".join(char if char.isprintable() else "?" for char in name)
    steps = [step for step in _SLASHES.split(printable) if step not in ("", ".", "..")]
    return _API_KEY.sub("AIza…", "/".join(steps))[-_MAX_NAME:]


def file_name(path: str) -> str:
    """The last part of a path, fit to be a credential's name; "" when nothing of it is left."""
    base = shown_name(path.replace("\\", "/").rsplit("/", 1)[-1])
    return _UNFIT_FOR_NAMES.sub("_", base).strip(" .")[:_MAX_NAME]


def oauth_found(
    fields: Mapping[str, Any],
    *,
    source: str,
    access: tuple[str, float] = ("", 0.0),
    project: str = "",
    email: str = "",
) -> Found:
    """Read the fields that all the OAuth formats name alike. `access`: the token and when it ends.

    Raises NotACredential when there is no refresh token, or a client id without its secret.
    """
    refresh_token = text(fields, "refresh_token")
    if not refresh_token:
        raise NotACredential("it holds no refresh_token: log in again and import the new file")
    client_id, client_secret = text(fields, "client_id"), text(fields, "client_secret")
    if bool(client_id) != bool(client_secret):
        raise NotACredential("client_id and client_secret belong together, and one is missing")
    access_token, expires_at = access
    email = email_of(email)
    return Found(
        provider="code_assist",
        secret={
            "client_id": client_id,
            "client_secret": client_secret,
            "refresh_token": refresh_token,
            "access_token": access_token if expires_at else "",
            "expires_at": expires_at if access_token else 0.0,
            "token_uri": text(fields, "token_uri"),
            "scopes": scopes_of(fields),
        },
        source=source,
        project=project,
        email=email,
        label=email or project or source,
    )


def text(fields: Mapping[str, Any], name: str) -> str:
    """ "" for what has signs in it that no token, address or name has, and that no database takes."""
    value = fields.get(name)
    value = value.strip() if isinstance(value, str) else ""
    return value if value.isprintable() else ""


def scopes_of(fields: Mapping[str, Any]) -> list[str]:
    """A list under `scopes`, or a string with blanks under either name."""
    value = fields.get("scopes") or fields.get("scope") or []
    if isinstance(value, str):
        return value.split()
    return [scope for scope in value if isinstance(scope, str)] if isinstance(value, list) else []


def email_of(value: Any) -> str:
    """In lower case; "" for what cannot be an address."""
    if not isinstance(value, str) or len(value) > 254 or value.count("@") != 1:
        return ""
    return value.strip().lower() if value.isprintable() else ""


def project_of(value: Any) -> str:
    """A project id. A project *number* is not valid here (reference 1.8), so it counts as unknown."""
    project = value.strip() if isinstance(value, str) else ""
    return project if _PROJECT.fullmatch(project) else ""


def iso_epoch_s(value: Any) -> float:
    """ISO 8601 with an offset, `Z`, or naive for UTC; 0 when unreadable."""
    if not isinstance(value, str):
        return 0.0
    try:
        at = datetime.fromisoformat(value.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def ms_epoch_s(value: Any) -> float:
    """Epoch milliseconds, as a number or in a string; 0 when unreadable."""
    try:
        at_s = float(value) / 1000
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return at_s if math.isfinite(at_s) and at_s > 0 else 0.0
