"""CLIProxyAPI: the login under `token`, one pool entry for each of its projects (reference 1.6)."""

from __future__ import annotations

from credentials.importers.found import (
    Found,
    Json,
    email_of,
    iso_epoch_s,
    oauth_found,
    project_of,
    text,
)


def read(fields: Json, *, source: str) -> list[Found]:
    """Raises NotACredential."""
    token: Json = fields["token"]
    access = text(token, "access_token"), iso_epoch_s(token.get("expiry"))
    email = email_of(fields.get("email"))
    return [
        oauth_found(token, source=source, access=access, project=project, email=email)
        for project in _projects(text(fields, "project_id"))
    ]


def _projects(value: str) -> list[str]:
    """One id or several with commas. `all` names none, so discovery finds the project: the unknown project ""."""
    named = [project for part in value.split(",") if (project := project_of(part))]
    return list(dict.fromkeys(named)) or [""]
