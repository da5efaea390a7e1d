"""gcli2api: one flat JSON object a credential (reference 1.6)."""

from __future__ import annotations

from credentials.importers.found import (
    Found,
    Json,
    email_of,
    iso_epoch_s,
    ms_epoch_s,
    oauth_found,
    project_of,
    text,
)


def read(fields: Json, *, source: str) -> list[Found]:
    """Raises NotACredential."""
    return [
        oauth_found(
            fields,
            source=source,
            access=_access(fields),
            project=project_of(fields.get("project_id")),
            email=email_of(fields.get("user_email") or fields.get("email")),
        )
    ]


def _access(fields: Json) -> tuple[str, float]:
    """The access token that the file's expiry speaks of.

    `token` is what an upload holds, `access_token` what a refresh writes beside a new `expiry`. With an expiry each
    (`expiry`, ISO; `expiry_date`, ms) the one that lives longer is taken.
    """
    token, access_token = text(fields, "token"), text(fields, "access_token")
    iso, ms = iso_epoch_s(fields.get("expiry")), ms_epoch_s(fields.get("expiry_date"))
    if token and access_token and iso and ms:
        return max((token, iso), (access_token, ms), key=lambda pair: pair[1])
    return access_token or token, iso or ms
