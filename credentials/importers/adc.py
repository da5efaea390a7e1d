"""Application default credentials of a user, as gcloud writes them: neither access token nor expiry (reference 1.6)."""

from __future__ import annotations

from credentials.importers.found import Found, Json, email_of, oauth_found, project_of


def read(fields: Json, *, source: str) -> list[Found]:
    """Raises NotACredential.

    `quota_project_id` is not taken as the project: it is only a hint, and sending a wrong project has moved free
    users to a paid tier (reference 1.8). A `project_id`, which gcloud does not write, is meant.
    """
    project = project_of(fields.get("project_id"))
    email = email_of(fields.get("account"))
    return [oauth_found(fields, source=source, project=project, email=email)]
