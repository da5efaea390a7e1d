"""What the proxy's feed reads: changed credentials as plain values."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import date

from django.db.models import F
from msgspec import Struct

from credentials.caps import NO_CAPS, Caps
from credentials.filters import serving
from credentials.models import TOPIC, Allowance, Credential, ModelState, Provider, epoch
from credentials.states import State
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.models import Revision

logger = logging.getLogger(__name__)

_LONG_PAST = 1.0


class CredentialSnapshot(Struct, frozen=True):
    """`token`: the API key or access token. `expires_at`, `state_until`: epoch seconds, 0 for never.

    A login without an access token has `token` "" and an `expires_at` long past, so it reads as one to refresh.
    """

    id: int
    provider: str
    token: str
    project: str
    expires_at: float
    weight: int
    contributor_id: int
    label: str
    state: str
    state_until: float
    revision: int
    caps: Caps = NO_CAPS
    proxy: str = ""
    login: str = ""
    """What rows of one Google account share, as several projects of one login do: they share its quota. "" for a key."""
    paused: bool = False

    def __repr__(self) -> str:
        return f"CredentialSnapshot(id={self.id}, provider={self.provider!r}, state={self.state!r})"


class ModelStateSnapshot(Struct, frozen=True):
    """State "active" means: forget what was held against it."""

    credential_id: int
    model: str
    state: str
    until: float
    revision: int


class Changes(Struct, frozen=True):
    """What changed since a revision. Ask with `revision` the next time; a row may come twice, none is missed.

    `unreadable`: ids whose secret fits none of the keys; they must not be used.
    """

    credentials: tuple[CredentialSnapshot, ...]
    models: tuple[ModelStateSnapshot, ...]
    unreadable: tuple[int, ...]
    revision: int


def usable_rows_since(revision: int) -> Changes:
    """Credentials in every state, as the pool must also learn what it can no longer use; everything for 0."""
    # Read first: what is committed later under a higher number is found the next time.
    seen = Revision.objects.filter(topic=TOPIC).values_list("number", flat=True).first() or 0
    credentials: list[CredentialSnapshot] = []
    unreadable: list[int] = []
    for row in Credential.objects.filter(revision__gt=revision or -1).order_by("pk"):
        try:
            credentials.append(_snapshot(row))
        except SecretUnreadable:
            logger.error("credential %s fits none of ENCRYPTION_KEYS: left out of the pool", row.pk)
            unreadable.append(row.pk)
    models = _model_states_since(revision)
    return Changes(tuple(credentials), models, tuple(unreadable), seen)


def _model_states_since(revision: int) -> tuple[ModelStateSnapshot, ...]:
    columns = ("credential_id", "model", "state", "until", "revision")
    if revision:
        # Also all of the credentials that changed: one that comes back into the pool has been forgotten there. A union, so
        # that each half uses its index and no ids are handed over, of which a database takes only so many.
        changed = ModelState.objects.filter(revision__gt=revision).values_list(*columns)
        of_changed = ModelState.objects.filter(credential__revision__gt=revision)
        values = changed.union(of_changed.values_list(*columns))
    else:
        # Who knows nothing has nothing to forget. There may be a hundred for each credential.
        values = ModelState.objects.exclude(state=State.ACTIVE).values_list(*columns)
    return tuple(
        ModelStateSnapshot(pk, model, state, epoch(until), number)
        for pk, model, state, until, number in values.iterator(chunk_size=2000)
    )


def snapshot_of(credential_id: int) -> CredentialSnapshot:
    """One credential, in whatever state. Raises Credential.DoesNotExist and SecretUnreadable."""
    return _snapshot(Credential.objects.get(pk=credential_id))


def spent_ids(day: date) -> set[int]:
    """Those whose calls of the day are used up."""
    spent = Allowance.objects.filter(day=day, scope="", taken__gte=F("credential__calls_a_day"))
    return set(spent.values_list("credential_id", flat=True))


def labels_of(credential_ids: Collection[int]) -> dict[int, str]:
    rows = Credential.objects.filter(pk__in=list(credential_ids)).only("label", "provider")
    return {row.pk: str(row) for row in rows}


def lent_ids() -> list[int]:
    """Those not taken back, oldest first."""
    lent = Credential.objects.exclude(state=State.WITHDRAWN).order_by("pk")
    return list(lent.values_list("pk", flat=True))


def usable_count() -> tuple[int, int]:
    """(credentials that could take a call now, all that were lent and not taken back)."""
    lent = Credential.objects.exclude(state=State.WITHDRAWN)
    return lent.filter(serving()).count(), lent.count()


def _snapshot(row: Credential) -> CredentialSnapshot:
    secret = row.secret.open()
    if row.provider == Provider.CODE_ASSIST:
        token, expires_at = secret.get("access_token", ""), secret.get("expires_at") or _LONG_PAST
    else:
        token, expires_at = secret.get("api_key", ""), 0.0
    return CredentialSnapshot(
        id=row.pk,
        provider=row.provider,
        token=token,
        project=row.project_id,
        expires_at=expires_at,
        weight=row.weight,
        contributor_id=row.contributor_id or 0,
        label=row.label,
        state=row.state,
        state_until=epoch(row.state_until),
        revision=row.revision,
        caps=row.caps,
        proxy=row.proxy.open().get("url", ""),
        login=row.fingerprint if row.provider == Provider.CODE_ASSIST else "",
        paused=row.paused_at is not None,
    )
