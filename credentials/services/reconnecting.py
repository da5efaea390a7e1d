"""A new secret for rows that exist: same row, same history, whatever became of the secret before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from credentials.identity import fingerprint_of
from credentials.models import TOPIC, Credential, StateChange
from credentials.services.verdicts import set_state
from credentials.states import Event, IllegalMove
from gateway.lib.models import bump

REASON = "reconnected"


@transaction.atomic
def reconnect(
    *,
    credential_ids: Sequence[int],
    secret: Mapping[str, Any],
    by: str,
    contributor_id: int | None = None,
    email: str = "",
) -> list[Credential]:
    """Lifts what was held against the old secret, but not an operator's decision to disable.

    The rows are not withdrawn, and have different projects: a login serves each project once. `contributor_id`: who owns them from now on.
    """
    revision, now = bump(TOPIC), timezone.now()
    rows = list(Credential.objects.filter(pk__in=credential_ids).order_by("pk"))
    for row in rows:
        row.secret = dict(secret)
        row.fingerprint = fingerprint_of(secret)
        row.email = email or row.email
        row.contributor_id = contributor_id or row.contributor_id
        row.connected_at = row.updated_at = now
        row.probe_failures, row.probe_at = 0, None
        row.revision = revision
        Credential.objects.filter(pk=row.pk).update(
            **{name: getattr(row, name) for name in _FIELDS}
        )
        _lift(row, by)
    return list(Credential.objects.filter(pk__in=credential_ids).order_by("pk"))


_FIELDS = (
    "secret",
    "fingerprint",
    "email",
    "contributor_id",
    "connected_at",
    "updated_at",
    "probe_failures",
    "probe_at",
    "revision",
)


def _lift(row: Credential, by: str) -> None:
    """It is told in the history also where the state stays as it was."""
    before = row.state
    try:
        after = set_state(credential_id=row.pk, event=Event.RECONNECTED, reason=REASON, by=by).state
    except IllegalMove:
        after = before
    if after == before:
        StateChange.objects.create(
            credential=row,
            event=Event.RECONNECTED.value,
            from_state=before,
            to_state=before,
            reason=REASON,
            by=by,
        )


@transaction.atomic
def hold(*, credential_id: int) -> None:
    """No call goes to it until it was looked at."""
    _set_held(credential_id, held=True)


@transaction.atomic
def release(*, credential_id: int) -> None:
    _set_held(credential_id, held=False)


def _set_held(credential_id: int, *, held: bool) -> None:
    Credential.objects.filter(pk=credential_id).update(
        paused_at=timezone.now() if held else None, revision=bump(TOPIC), updated_at=timezone.now()
    )
