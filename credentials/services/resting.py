"""A person ends rests early, as after a quota was raised."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from credentials.models import Credential, ModelState
from credentials.services.verdicts import apply_verdicts
from credentials.states import RESTING, Event, StateMove


@transaction.atomic
def reset_rests(*, credential_id: int, by: str) -> int:
    """The rest of the whole credential and those of its models; how many there were."""
    now = timezone.now()
    moves = []
    if Credential.objects.filter(pk=credential_id, state__in=RESTING).exists():
        moves.append(StateMove(credential_id=credential_id, event=Event.RESTED, whole=True))
    models = ModelState.objects.filter(
        credential=credential_id, state__in=RESTING, until__gt=now
    ).values_list("model", flat=True)
    moves += [
        StateMove(credential_id=credential_id, event=Event.RESTED, model=model) for model in models
    ]
    return apply_verdicts(moves, by=by)
