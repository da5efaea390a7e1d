"""Credentials come in: new ones are added, known ones updated in place."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from msgspec import Struct

from credentials.identity import fingerprint_of
from credentials.importers import Found, Item, Unusable
from credentials.models import TOPIC, Credential, Provider, StateChange
from credentials.states import Event, IllegalMove, StateMove, advance
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.models import bump

_CHUNK = 400
"""Values in one query; SQLite's oldest limit is 999."""

_UPDATED_FIELDS = [
    "secret",
    "fingerprint",
    "email",
    "project_id",
    "label",
    "source",
    "contributor",
    "state",
    "state_reason",
    "state_until",
    "help_url",
    "updated_at",
    "revision",
]
_NO_OAUTH_CLIENT = (
    "the file names no OAuth client: set GOOGLE_OAUTH_CLIENT_ID and GOOGLE_OAUTH_CLIENT_SECRET to the client its "
    "login was made with, then import it again"
)


class Outcome(StrEnum):
    NEW = "new"
    UPDATED = "updated"
    DUPLICATE = "duplicate"
    """Known already, and nothing in it is news."""
    UNUSABLE = "unusable"


class ImportResult(Struct, frozen=True):
    """`credential_id` is 0 for the unusable, and for the new of a dry run."""

    source: str
    outcome: Outcome
    provider: str = ""
    label: str = ""
    reason: str = ""
    credential_id: int = 0


@transaction.atomic
def import_items(
    *, items: Sequence[Item], contributor_id: int | None = None, dry_run: bool = False
) -> list[ImportResult]:
    """Store what was parsed and tell, in the same order, what became of each item."""
    usable = [item for item in items if isinstance(item, Found) and _has_client(item)]
    intake = _Intake(usable, contributor_id=contributor_id, dry_run=dry_run)
    taken = [(item, *_take(intake, item)) for item in items]
    if not dry_run:
        intake.save()
    return [_result(item, outcome, row) for item, outcome, row in taken]


@transaction.atomic
def store(
    *,
    provider: str,
    secret: Mapping[str, Any],
    project: str = "",
    email: str = "",
    label: str = "",
    source: str = "",
    contributor_id: int | None = None,
) -> Credential:
    """Add one credential, or update the one that it is already."""
    found = Found(
        provider=provider,
        secret=dict(secret),
        source=source,
        project=project,
        email=email.lower(),
        label=label or email or project,
    )
    intake = _Intake([found], contributor_id=contributor_id)
    _, credential = intake.take(found)
    intake.save()
    return credential


def _has_client(item: Found) -> bool:
    if item.provider != Provider.CODE_ASSIST:
        return True
    return bool(item.secret.get("client_id") or settings.GOOGLE_OAUTH_CLIENT_ID)


def _take(intake: _Intake, item: Item) -> tuple[Outcome, Credential | None]:
    if isinstance(item, Unusable) or not _has_client(item):
        return Outcome.UNUSABLE, None
    return intake.take(item)


def _result(item: Item, outcome: Outcome, credential: Credential | None) -> ImportResult:
    if isinstance(item, Unusable):
        return ImportResult(item.source, outcome, reason=item.reason)
    if credential is None:
        return ImportResult(item.source, outcome, item.provider, item.label, _NO_OAUTH_CLIENT)
    return ImportResult(
        item.source, outcome, item.provider, credential.label, credential_id=credential.pk or 0
    )


class _Intake:
    """The known rows that a batch may mean, changed and joined by new ones in memory, then saved at once.

    The topic's number is taken first, so nobody else adds or changes credentials between our reading and writing.
    """

    def __init__(
        self, items: Iterable[Found], *, contributor_id: int | None, dry_run: bool = False
    ) -> None:
        self.contributor_id = contributor_id
        self.now = time.time()
        self.at = timezone.now()
        self.revision = 0 if dry_run else bump(TOPIC)
        self.by_secret: dict[tuple[str, str], list[Credential]] = defaultdict(list)
        self.by_email: dict[str, list[Credential]] = defaultdict(list)
        self.new: list[Credential] = []
        self.changed: dict[int, Credential] = {}
        self.history: list[StateChange] = []
        for row in _known(list(items)):
            self._index(row)

    def take(self, found: Found) -> tuple[Outcome, Credential]:
        row = self._find(found)
        if row is None:
            row = self._add(found)
            return Outcome.NEW, row
        before = (row.fingerprint, row.email, row.project_id, row.contributor_id)
        renewed = self._renew_secret(row, found)
        row.email = row.email or found.email
        row.project_id = row.project_id or found.project
        row.contributor_id = row.contributor_id or self.contributor_id
        if not renewed and before == (
            row.fingerprint,
            row.email,
            row.project_id,
            row.contributor_id,
        ):
            return Outcome.DUPLICATE, row
        row.revision, row.updated_at = self.revision, self.at
        if row.pk is not None:
            self.changed[row.pk] = row
        return Outcome.UPDATED, row

    def save(self) -> None:
        Credential.objects.bulk_create(self.new, batch_size=_CHUNK)
        Credential.objects.bulk_update(self.changed.values(), _UPDATED_FIELDS, batch_size=50)
        StateChange.objects.bulk_create(self.history, batch_size=_CHUNK)

    def _index(self, row: Credential) -> None:
        self.by_secret[row.provider, row.fingerprint].append(row)
        if row.email and row.provider == Provider.CODE_ASSIST:
            self.by_email[row.email].append(row)

    def _find(self, found: Found) -> Credential | None:
        same_secret = self.by_secret[found.provider, fingerprint_of(found.secret)]
        if row := _of_project(same_secret, found.project):
            return row
        if not found.email or found.provider != Provider.CODE_ASSIST:
            return None
        # The address in a file is a claim: a contributor can renew with it only what is theirs.
        same_email = [
            row
            for row in self.by_email[found.email]
            if self.contributor_id in (None, row.contributor_id)
        ]
        return _of_project(same_email, found.project)

    def _add(self, found: Found) -> Credential:
        fingerprint = fingerprint_of(found.secret)
        row = Credential(
            provider=found.provider,
            label=(found.label or f"{found.provider} {fingerprint[:8]}")[:200],
            secret=found.secret,
            fingerprint=fingerprint,
            email=found.email,
            project_id=found.project,
            contributor_id=self.contributor_id,
            source=found.source[-255:],
            created_at=self.at,
            updated_at=self.at,
            revision=self.revision,
        )
        self.new.append(row)
        self._index(row)
        return row

    def _renew_secret(self, row: Credential, found: Found) -> bool:
        old = _readable(row)
        secret = _merged(old, found.secret)
        if secret == old:
            return False
        row.secret = secret
        row.fingerprint = fingerprint_of(secret)
        row.source = found.source[-255:]
        self.by_secret[row.provider, row.fingerprint].append(row)
        self._reconnect(row)
        return True

    def _reconnect(self, row: Credential) -> None:
        """A new secret lifts what was held against the old one, but not an operator's decision."""
        before = row.standing
        change = StateMove(credential_id=row.pk or 0, event=Event.RECONNECTED, whole=True)
        try:
            row.standing = advance(before, change, self.now)
        except IllegalMove:
            return
        if row.pk is not None and row.state != before.state:
            self.history.append(
                StateChange(
                    credential=row,
                    from_state=before.state,
                    to_state=row.state,
                    reason="reconnected",
                    at=self.at,
                )
            )


def _known(items: list[Found]) -> Iterator[Credential]:
    seen: set[int] = set()
    for start in range(0, len(items), _CHUNK):
        chunk = items[start : start + _CHUNK]
        meant = Q(fingerprint__in={fingerprint_of(item.secret) for item in chunk})
        if emails := {item.email for item in chunk if item.email}:
            meant |= Q(email__in=emails)
        for row in Credential.objects.filter(meant).order_by("pk"):
            if row.pk not in seen:
                seen.add(row.pk)
                yield row


def _of_project(rows: list[Credential], project: str) -> Credential | None:
    """The row of the project. A project that is not known yet, on either side, may turn out to be any."""
    for row in rows:
        if row.project_id == project:
            return row
    return next((row for row in rows if not project or not row.project_id), None)


def _readable(row: Credential) -> dict[str, Any] | None:
    try:
        return row.secret.open()
    except SecretUnreadable:
        return None


def _merged(old: dict[str, Any] | None, new: Mapping[str, Any]) -> dict[str, Any]:
    """For the same login our access token is kept, as it may be younger, and the file adds what we lack or had wrong."""
    if not old or old.get("refresh_token") != new.get("refresh_token"):
        return dict(new)
    merged = old | {name: value for name, value in new.items() if value}
    if old.get("access_token"):
        merged |= {name: old[name] for name in ("access_token", "expires_at")}
    return merged
