"""Facts about a credential that are found out after it was stored."""

from __future__ import annotations

import time

from django.db import transaction
from django.utils import timezone

from credentials.client import GoogleClient
from credentials.models import TOPIC, Credential
from credentials.services.refreshing import refresh_access_token
from credentials.services.verdicts import set_state
from credentials.states import Event
from gateway.lib.models import bump


@transaction.atomic
def set_project(*, credential_id: int, project: str, tier: str = "") -> Credential:
    """What discovery found. When the same login serves that project already, this row is a duplicate: disabled."""
    revision = bump(TOPIC)
    credential = Credential.objects.get(pk=credential_id)
    twins = Credential.objects.filter(
        provider=credential.provider, fingerprint=credential.fingerprint, project_id=project
    )
    if twins.exclude(pk=credential_id).exists():
        return set_state(credential_id=credential_id, event=Event.DISABLED, reason="duplicate")
    credential.project_id = project
    credential.tier = tier or credential.tier
    return _save(credential, revision, "project_id", "tier")


def look_up_email(*, credential_id: int, client: GoogleClient | None = None) -> Credential:
    """Ask Google whose login it is. Raises what `refresh_access_token` raises, UpstreamFailed and SecretUnreadable."""
    client = client or GoogleClient()
    credential = Credential.objects.get(pk=credential_id)
    secret = credential.secret.open()
    if secret.get("expires_at", 0) <= time.time():
        credential = refresh_access_token(
            credential_id=credential_id, stale_token=secret.get("access_token", ""), client=client
        )
        secret = credential.secret.open()
    email = client.fetch_email(access_token=secret["access_token"])
    with transaction.atomic():
        revision = bump(TOPIC)
        credential = Credential.objects.get(pk=credential_id)
        credential.email = email or credential.email
        return _save(credential, revision, "email")


def _save(credential: Credential, revision: int, *fields: str) -> Credential:
    credential.revision, credential.updated_at = revision, timezone.now()
    changed = {name: getattr(credential, name) for name in (*fields, "revision", "updated_at")}
    Credential.objects.filter(pk=credential.pk).update(**changed)
    return credential
