"""Facts about a credential that are found out after it was stored."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from credentials.client import GoogleClient
from credentials.identity import fingerprint
from credentials.models import TOPIC, Credential
from credentials.services.contributors import LIMIT_FIELDS, set_limits
from credentials.services.refreshing import refresh_access_token
from credentials.services.verdicts import set_state
from credentials.states import Event, State
from gateway.lib.errors import Conflict
from gateway.lib.models import bump


@transaction.atomic
def set_project(*, credential_id: int, project: str, tier: str = "") -> Credential:
    """What discovery found. When the same login serves that project already, this row is a duplicate: disabled."""
    revision = bump(TOPIC)
    credential = Credential.objects.get(pk=credential_id)
    if credential.state == State.WITHDRAWN:
        return credential
    twins = Credential.objects.filter(
        provider=credential.provider, fingerprint=credential.fingerprint, project_id=project
    )
    if twins.exclude(pk=credential_id).exists():
        return set_state(credential_id=credential_id, event=Event.DISABLED, reason="duplicate")
    credential.project_id = project
    credential.tier = tier or credential.tier
    return _save(credential, revision, "project_id", "tier")


@transaction.atomic
def set_preview(*, credential_id: int, preview: bool) -> Credential:
    """Whether its account may use preview models."""
    revision = bump(TOPIC)
    credential = Credential.objects.get(pk=credential_id)
    credential.preview = preview
    return _save(credential, revision, "preview")


_PLAIN = ("label", "weight", "tags", "contributor")


def version_of(credential: Credential) -> str:
    """Of what people edit: it changes with that and with nothing else, so that a rest or a refresh in between is no conflict."""
    facts = [getattr(credential, name) for name in ("label", "weight", "tags", "contributor_id")]
    limits = [getattr(credential, name) for name in LIMIT_FIELDS]
    text = json.dumps([facts, limits, credential.proxy.token], sort_keys=True)
    return fingerprint(text)[:12]


@transaction.atomic
def edit(
    *, credential_id: int, changes: Mapping[str, Any], by: str, version: str = ""
) -> Credential:
    """`changes`: any of label, weight, tags, contributor, proxy (its address, "" for none), caps (any of LIMIT_FIELDS). Raises
    Conflict when `version` is given and somebody edited it since, when it was taken back, and as `set_limits` does.
    """
    revision = bump(TOPIC)
    credential = Credential.objects.select_related("contributor").get(pk=credential_id)
    if credential.state == State.WITHDRAWN:
        raise Conflict("This credential was taken back: nothing about it can be changed.")
    if version and version != version_of(credential):
        raise Conflict("Somebody else changed this credential meanwhile. Load it again, then edit.")
    if caps := changes.get("caps"):
        # First, while it is the lender's whom the other changes may take from it.
        set_limits(credential_id=credential_id, limits=caps, by=by)
        credential.refresh_from_db(fields=LIMIT_FIELDS)
        revision = bump(TOPIC)
    fields = [name for name in _PLAIN if name in changes]
    for name in fields:
        setattr(credential, name, changes[name])
    if "proxy" in changes:
        credential.proxy = {"url": changes["proxy"]} if changes["proxy"] else {}
        fields.append("proxy")
    return _save(credential, revision, *fields)


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
    email = client.fetch_email(access_token=secret["access_token"], proxy=credential.proxy_url)
    with transaction.atomic():
        revision = bump(TOPIC)
        credential = Credential.objects.get(pk=credential_id)
        if credential.state == State.WITHDRAWN:
            return credential  # its address was forgotten meanwhile
        credential.email = email or credential.email
        return _save(credential, revision, "email")


def _save(credential: Credential, revision: int, *fields: str) -> Credential:
    credential.revision, credential.updated_at = revision, timezone.now()
    changed = {name: getattr(credential, name) for name in (*fields, "revision", "updated_at")}
    Credential.objects.filter(pk=credential.pk).update(**changed)
    return credential
