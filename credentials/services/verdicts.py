"""What calls and people learnt about credentials is written down here, and nowhere else."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from credentials.models import TOPIC, Credential, ModelState, StateChange, moment
from credentials.services import leftovers
from credentials.states import Event, IllegalMove, Standing, State, StateMove, advance
from gateway.lib.models import bump

_CREDENTIAL_FIELDS = [
    "state",
    "state_reason",
    "state_until",
    "help_url",
    "probe_at",
    "probe_failures",
    "updated_at",
    "revision",
]
_MODEL_FIELDS = ["state", "reason", "until", "revision"]


@transaction.atomic
def apply_verdicts(
    changes: Sequence[StateMove], *, now: float | None = None, by: str = "google"
) -> int:
    """Apply them in order and give the number of rows changed; a constant number of queries.

    Idempotent: the same batch again changes nothing. A change that means nothing in the state its credential is in by
    now (disabled meanwhile, say), and one for a credential that is gone, is passed over.
    """
    if not changes:
        return 0
    board = _Board(changes, now=time.time() if now is None else now, by=by)
    for change in changes:
        board.apply(change)
    return board.save()


@transaction.atomic
def set_state(
    *,
    credential_id: int,
    event: Event,
    reason: str = "operator",
    by: str = "operator",
    now: float | None = None,
    keep_secret: bool = False,
) -> Credential:
    """A person's decision. Raises IllegalMove. Withdrawing destroys the secret, unless it is still needed to end the access
    at Google (services/withdrawal.py).
    """
    change = StateMove(credential_id=credential_id, event=event, reason=reason, whole=True)
    board = _Board([change], now=time.time() if now is None else now, by=by)
    credential = board.credentials.get(credential_id)
    if credential is None:
        raise Credential.DoesNotExist(f"there is no credential {credential_id}")
    board.move_credential(credential, change)
    board.save()
    if event is Event.WITHDRAWN:
        leftovers.take_out(credential, at=board.at, keep_secret=keep_secret)
    return credential


@transaction.atomic
def set_states(*, credential_ids: Sequence[int], event: Event, reason: str, by: str) -> set[int]:
    """The same decision about many, in a constant number of queries; the ids it means nothing for, or that are gone. Not for
    withdrawing, which destroys a secret each (services/withdrawal.py).
    """
    changes = [
        StateMove(credential_id=pk, event=event, reason=reason, whole=True) for pk in credential_ids
    ]
    board = _Board(changes, now=time.time(), by=by)
    refused = set(credential_ids) - set(board.credentials)
    for change in changes:
        try:
            if (credential := board.credentials.get(change.credential_id)) is not None:
                board.move_credential(credential, change)
        except IllegalMove:
            refused.add(change.credential_id)
    board.save_alike()
    return refused


class _Board:
    """The rows a batch is about, changed in memory, then saved at once.

    The topic's number is taken first: it makes the writers of the topic queue, so what is read here stays true.
    """

    def __init__(self, changes: Sequence[StateMove], *, now: float, by: str = "google") -> None:
        self.now = now
        self.by = by
        self.at = moment(now) or timezone.now()
        self.revision = bump(TOPIC)
        self.credentials = Credential.objects.defer("secret").in_bulk(
            {change.credential_id for change in changes}
        )
        models = {change.model for change in changes if change.model}
        self.models = {
            (row.credential_id, row.model): row
            for row in ModelState.objects.filter(
                credential_id__in=list(self.credentials), model__in=models
            )
        }
        self.changed_credentials: dict[int, Credential] = {}
        self.changed_models: dict[tuple[int, str], ModelState] = {}
        self.history: list[StateChange] = []

    def apply(self, change: StateMove) -> None:
        if (credential := self.credentials.get(change.credential_id)) is None:
            return
        try:
            if change.scope:
                self.move_model(change)
            if not change.scope or change.event in (Event.SERVED, Event.PROBED):
                self.move_credential(credential, change)
        except IllegalMove:
            return

    def move_credential(self, credential: Credential, change: StateMove) -> None:
        before = credential.standing
        after = advance(before, change, self.now)
        if after is not before:
            if after.state is State.NEEDS_ATTENTION and before.state is not after.state:
                # It may be mended soon: its last test was of something that worked.
                credential.probe_at, credential.probe_failures = None, 0
            credential.standing = after
            credential.updated_at = self.at
            credential.revision = self.revision
            self.changed_credentials[credential.pk] = credential
            self._remember(change, "", before, after)

    def move_model(self, change: StateMove) -> None:
        key = (change.credential_id, change.model)
        row = self.models.get(key)
        before = row.standing if row else Standing()
        after = advance(before, change, self.now)
        if after is before:
            return
        if row is None:
            row = ModelState(credential_id=change.credential_id, model=change.model)
            self.models[key] = row
        row.standing = after
        row.revision = self.revision
        self.changed_models[key] = row
        self._remember(change, change.model, before, after)

    def _remember(self, change: StateMove, model: str, before: Standing, after: Standing) -> None:
        if (before.state, before.reason) == (after.state, after.reason):
            return  # a rest grew longer: no news
        self.history.append(
            StateChange(
                credential_id=change.credential_id,
                model=model,
                event=change.event.value,
                from_state=before.state,
                to_state=after.state,
                reason=after.reason or change.reason,
                request_id=change.request_id,
                by=self.by,
                at=self.at,
            )
        )

    def save_alike(self) -> None:
        """For one decision about many, after which they stand alike: an update for all instead of a value for each."""
        alike: defaultdict[Standing, list[int]] = defaultdict(list)
        for credential in self.changed_credentials.values():
            alike[credential.standing].append(credential.pk)
        for standing, ids in alike.items():
            Credential.objects.filter(pk__in=ids).update(
                state=standing.state.value,
                state_reason=standing.reason,
                state_until=moment(standing.until),
                help_url=standing.help_url,
                updated_at=self.at,
                revision=self.revision,
            )
        StateChange.objects.bulk_create(self.history)

    def save(self) -> int:
        Credential.objects.bulk_update(self.changed_credentials.values(), _CREDENTIAL_FIELDS, 200)
        models = self.changed_models.values()
        ModelState.objects.bulk_create([row for row in models if row.pk is None])
        ModelState.objects.bulk_update(
            [row for row in models if row.pk is not None], _MODEL_FIELDS, 200
        )
        StateChange.objects.bulk_create(self.history)
        return len(self.changed_credentials) + len(self.changed_models)
