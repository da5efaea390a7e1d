"""Credentials come in: new ones are added, known ones updated in place."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
from credentials.models.credential import new_name
from credentials.services.verdicts import apply_verdicts
from credentials.states import RESTING, Event, IllegalMove, State, StateMove, advance
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.models import bump

_CHUNK = 400
"""Values in one query; SQLite's oldest limit is 999."""

_UPDATED_FIELDS = [
    "secret",
    "fingerprint",
    "name",
    "email",
    "project_id",
    "tier",
    "preview",
    "tags",
    "label",
    "source",
    "contributor",
    "connected_at",
    "paused_at",
    "withdrawn_at",
    "secret_destroyed_at",
    "revocation",
    "probe_at",
    "probe_failures",
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
_TAKEN_BACK = "its contributor took it back: only they can lend it again, at /auth"
_OTHER_KEY = (
    "the login it would replace is sealed with a key that is missing from ENCRYPTION_KEYS, so it was left as it is: give "
    "the key back, or withdraw that credential, then import again"
)
_IMPORTED = "imported"

# What another place knew of a whole credential, as something that happens to it here.
_ARRIVALS = {
    State.DISABLED: Event.DISABLED,
    State.EXPIRED: Event.REVOKED,
    State.NEEDS_ATTENTION: Event.ATTENTION,
    State.COOLING: Event.RATE,
    State.EXHAUSTED: Event.QUOTA,
}


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


def import_items(
    *,
    items: Sequence[Item],
    contributor_id: int | None = None,
    tags: Sequence[str] = (),
    by: str = "import",
    dry_run: bool = False,
) -> list[ImportResult]:
    """Store what was parsed, in one transaction, and tell, in the same order, what became of each item.

    What its contributor took back stays so, unless it comes in their name. What the place it comes from knew of its state
    holds for new credentials only: of known ones more is known here. A dry run keeps nobody waiting: on SQLite a
    transaction would hold up every call.
    """
    usable = [item for item in items if isinstance(item, Found) and _has_client(item)]
    if dry_run:
        intake = _Intake(usable, contributor_id=contributor_id, tags=tags, by=by, dry_run=True)
        return [_result(item, *_take(intake, item)) for item in items]
    with transaction.atomic():
        intake = _Intake(usable, contributor_id=contributor_id, tags=tags, by=by)
        taken = [(item, *_take(intake, item)) for item in items]
        intake.save()
    return [_result(item, outcome, row, reason) for item, outcome, row, reason in taken]


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
    by: str = "contributor",
) -> Credential:
    """Add one credential that somebody lends now, or update the one that it is already; one that was taken back is lent
    again by it."""
    found = Found(
        provider=provider,
        secret=dict(secret),
        source=source,
        project=project,
        email=email.lower(),
        label=label or email or project,
    )
    intake = _Intake([found], contributor_id=contributor_id, by=by, lent=True)
    _, credential, _ = intake.take(found)
    intake.save()
    return credential


def _has_client(item: Found) -> bool:
    if item.provider != Provider.CODE_ASSIST:
        return True
    return bool(item.secret.get("client_id") or settings.GOOGLE_OAUTH_CLIENT_ID)


def _take(intake: _Intake, item: Item) -> tuple[Outcome, Credential | None, str]:
    if isinstance(item, Unusable):
        return Outcome.UNUSABLE, None, item.reason
    if not _has_client(item):
        return Outcome.UNUSABLE, None, _NO_OAUTH_CLIENT
    return intake.take(item)


def _result(
    item: Item, outcome: Outcome, credential: Credential | None, reason: str
) -> ImportResult:
    if isinstance(item, Unusable):
        return ImportResult(item.source, outcome, reason=reason)
    if outcome is Outcome.UNUSABLE or credential is None:
        return ImportResult(item.source, outcome, item.provider, item.label, reason)
    return ImportResult(
        item.source, outcome, item.provider, credential.label, credential_id=credential.pk or 0
    )


class _Intake:
    """The known rows that a batch may mean, changed and joined by new ones in memory, then saved at once.

    The topic's number is taken first, so nobody else adds or changes credentials between our reading and writing. `lent`:
    somebody lends it at this moment, which an import cannot know.
    """

    def __init__(
        self,
        items: Sequence[Found],
        *,
        contributor_id: int | None,
        by: str,
        tags: Sequence[str] = (),
        lent: bool = False,
        dry_run: bool = False,
    ) -> None:
        self.contributor_id = contributor_id
        self.tags, self.by, self.lent = list(tags), by, lent
        self.now = time.time()
        self.at = timezone.now()
        self.revision = 0 if dry_run else bump(TOPIC)
        self.by_secret: dict[tuple[str, str], list[Credential]] = defaultdict(list)
        self.by_email: dict[str, list[Credential]] = defaultdict(list)
        self.names = _names_in_use(items, int(self.now))
        self.new: list[tuple[Credential, Found]] = []
        self.changed: dict[int, Credential] = {}
        self.history: list[StateChange] = []
        for row in _known(items):
            self._index(row)

    def take(self, found: Found) -> tuple[Outcome, Credential, str]:
        """What becomes of it, the row, and why it is unusable."""
        row = self._find(found)
        if row is None:
            return Outcome.NEW, self._add(found), ""
        if refusal := self._refusal(row, found):
            return Outcome.UNUSABLE, row, refusal
        before = _facts(row)
        renewed = self._renew_secret(row, found)
        row.email = row.email or found.email
        row.project_id = row.project_id or found.project
        row.tier = row.tier or found.known.tier
        row.preview = found.known.preview if row.preview is None else row.preview
        row.contributor_id = row.contributor_id or self.contributor_id
        if not renewed and before == _facts(row):
            return Outcome.DUPLICATE, row, ""
        self._tag(row)
        row.revision, row.updated_at = self.revision, self.at
        if row.pk is not None:
            self.changed[row.pk] = row
        return Outcome.UPDATED, row, ""

    def save(self) -> None:
        Credential.objects.bulk_create([row for row, _ in self.new], batch_size=_CHUNK)
        # By ascending id, as whoever books uses of several holds them: this statement locks against that.
        Credential.objects.bulk_create(
            [self.changed[pk] for pk in sorted(self.changed)],
            batch_size=_CHUNK,
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=_UPDATED_FIELDS,
        )
        StateChange.objects.bulk_create(self.history, batch_size=_CHUNK)
        apply_verdicts(
            [move for row, found in self.new for move in _arrivals(row, found, self.now)],
            now=self.now,
            by=self.by,
        )

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

    def _refusal(self, row: Credential, found: Found) -> str:
        if self.lent:
            return ""
        if row.state == State.WITHDRAWN and row.contributor_id not in (None, self.contributor_id):
            return _TAKEN_BACK
        if _readable(row) is None:
            return _OTHER_KEY
        return ""

    def _tag(self, row: Credential) -> None:
        row.tags = [*row.tags, *(tag for tag in self.tags if tag not in row.tags)]

    def _free_name(self, found: Found, fingerprint: str) -> str:
        wished, other = _wished_names(found, fingerprint, int(self.now))
        name = next((name for name in (wished, other) if name and name not in self.names), "")
        name = name or new_name()
        self.names.add(name)
        return name

    def _add(self, found: Found) -> Credential:
        fingerprint = fingerprint_of(found.secret)
        row = Credential(
            provider=found.provider,
            name=self._free_name(found, fingerprint),
            tier=found.known.tier,
            preview=found.known.preview,
            weight=found.known.weight or 1,
            tags=list(found.known.tags),
            label=_label(found, fingerprint),
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
        self._tag(row)
        self.new.append((row, found))
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
        row.connected_at = self.at
        self.by_secret[row.provider, row.fingerprint].append(row)
        if row.state == State.WITHDRAWN:
            self._bring_back(row, found)
        self._reconnect(row)
        return True

    def _bring_back(self, row: Credential, found: Found) -> None:
        """What withdrawing took from the row besides its secret (services/leftovers.py)."""
        row.contributor_id = self.contributor_id or row.contributor_id
        row.name = self._free_name(found, row.fingerprint)
        row.label = _label(found, row.fingerprint)
        row.withdrawn_at = row.secret_destroyed_at = row.paused_at = None
        row.revocation = ""

    def _reconnect(self, row: Credential) -> None:
        """A new secret lifts what was held against the old one, but not an operator's decision. Upkeep tries it soon."""
        row.probe_at, row.probe_failures = None, 0
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
                    event=Event.RECONNECTED.value,
                    from_state=before.state,
                    to_state=row.state,
                    reason="reconnected",
                    by=self.by[:150],
                    at=self.at,
                )
            )


def _facts(row: Credential) -> tuple[Any, ...]:
    return (
        row.fingerprint,
        row.email,
        row.project_id,
        row.contributor_id,
        row.tier,
        row.preview,
    )


def _label(found: Found, fingerprint: str) -> str:
    return (found.label or f"{found.provider} {fingerprint[:8]}")[:200]


def _arrivals(row: Credential, found: Found, now: float) -> Iterator[StateMove]:
    known = found.known
    state = State(known.state) if known.state else State.ACTIVE
    event = _ARRIVALS.get(state)
    if event is not None and not (state in RESTING and known.until <= now):
        yield StateMove(
            credential_id=row.pk,
            event=event,
            reason=known.reason or _IMPORTED,
            until=known.until if state in RESTING else 0.0,
            help_url=known.help_url,
            whole=True,
        )
    for model, until in known.rests.items():
        if until > now:
            yield StateMove(
                credential_id=row.pk,
                event=Event.QUOTA,
                model=model,
                reason=_IMPORTED,
                until=until,
            )


def _wished_names(found: Found, fingerprint: str, now: int) -> tuple[str, str]:
    """The name it had, or one as gcli2api gives them; and another for when that is taken."""
    if found.name:
        wished = found.name
    elif found.provider == Provider.GEMINI_API:
        wished = f"key-{fingerprint[:8]}.json"
    elif found.project:
        wished = f"{found.project}-{now}.json"
    else:
        return "", ""
    stem, dot, suffix = wished.rpartition(".")
    stem, end = (stem, f"{dot}{suffix}") if dot else (wished, "")
    return wished[:200], f"{stem[:180]}-{fingerprint[:8]}{end[:10]}"


def _names_in_use(items: Sequence[Found], now: int) -> set[str]:
    wished = [
        name
        for item in items
        for name in _wished_names(item, fingerprint_of(item.secret), now)
        if name
    ]
    taken: set[str] = set()
    for start in range(0, len(wished), _CHUNK):
        rows = Credential.objects.filter(name__in=wished[start : start + _CHUNK])
        taken.update(rows.values_list("name", flat=True))
    return taken


def _known(items: Sequence[Found]) -> Iterator[Credential]:
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
