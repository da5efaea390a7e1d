"""What contributors decide about what they lent, and about how they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from credentials import upstream
from credentials.caps import Caps, widens
from credentials.models import TOPIC, Contributor, Credential, Flow, StateChange
from credentials.states import State
from credentials.upstream import Finding
from gateway.lib.errors import Conflict, RateLimited
from gateway.lib.models import bump

BY = "contributor"
PAUSED, RESUMED, TESTED, LIMITS = "paused", "resumed", "tested", "limits"
"""Events of the history that are no moves of the state."""
TEST_EVERY = timedelta(seconds=60)
LIMIT_FIELDS = (
    "calls_a_day",
    "model_calls_a_day",
    "hours_from",
    "hours_to",
    "hours_zone",
    "allowed_models",
    "stop_below_percent",
)
CAPS = {
    "calls_a_day": "calls a day",
    "model_calls_a_day": "calls a day by model",
    "hours": "hours",
    "models": "models",
    "stop_below_percent": "what is kept of the quota",
}
"""In words."""
_TAKEN_BACK = "This credential was taken back. Lend it again to use it."


def pause(*, credential_id: int, by: str = BY) -> Credential:
    """No call goes to it until it is resumed. Its state is another matter. Raises Conflict when it was taken back."""
    return _set_paused(credential_id, True, by)


def resume(*, credential_id: int, by: str = BY) -> Credential:
    """Lifts a pause, and nothing else. Raises Conflict."""
    return _set_paused(credential_id, False, by)


@transaction.atomic
def _set_paused(credential_id: int, paused: bool, by: str) -> Credential:
    revision = bump(TOPIC)
    credential = _lent(credential_id)
    if (credential.paused_at is not None) is paused:
        return credential
    now = timezone.now()
    credential.paused_at = now if paused else None
    _update(credential, revision, "paused_at")
    _remember(credential, PAUSED if paused else RESUMED, by=by)
    return credential


@transaction.atomic
def set_limits(
    *, credential_id: int, limits: Mapping[str, Any], by: str | None = None
) -> Credential:
    """`limits`: any of LIMIT_FIELDS, as in the model. `by`: None for its contributor; anybody else only tightens what a
    contributor allows. Raises Conflict then, and when it was taken back."""
    revision = bump(TOPIC)
    credential = _lent(credential_id)
    if by is not None and (cap := wider(credential, limits)):
        allowed = _allowed(credential.caps, cap)
        raise Conflict(
            f"Its contributor allows {allowed}: only they can allow more, on their private page."
        )
    changed = [name for name in LIMIT_FIELDS if limits.get(name) != getattr(credential, name)]
    changed = [name for name in changed if name in limits]
    if not changed:
        return credential
    for name in changed:
        setattr(credential, name, limits[name])
    _update(credential, revision, *changed)
    _remember(credential, LIMITS, by=BY if by is None else by)
    return credential


def wider(credential: Credential, limits: Mapping[str, Any]) -> str:
    """Which of CAPS, that its contributor set, the limits would widen; "" for none, and where there is no contributor."""
    if credential.contributor_id is None:
        return ""
    after = {name: limits.get(name, getattr(credential, name)) for name in LIMIT_FIELDS}
    return widens(credential.caps, Credential(**after).caps)


def _allowed(caps: Caps, cap: str) -> str:
    match cap:
        case "calls_a_day":
            return f"{caps.calls_a_day:,} calls a day"
        case "model_calls_a_day":
            limits = [f"{calls:,} of {glob}" for glob, calls in caps.model_calls_a_day]
            return f"so many calls a day: {_listed(limits)}"
        case "hours" if caps.hours is not None:
            hours = caps.hours
            return f"calls from {hours.start:02d}:00 to {hours.end:02d}:00 ({hours.zone})"
        case "models":
            return f"only these models: {_listed(caps.models)}"
        case _:
            percent = caps.stop_below_percent
            return f"no calls when {percent}% or less of Google's daily quota is left"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def try_now(*, credential_id: int, by: str = BY) -> Finding:
    """Tries it with one small call, at most once a minute. Raises Conflict, and RateLimited with how long to wait."""
    _claim_test(credential_id, by)
    return upstream.current().check([credential_id])[0]


@transaction.atomic
def _claim_test(credential_id: int, by: str) -> None:
    credential = _lent(credential_id, lock=True)
    now = timezone.now()
    last = credential.state_changes.filter(event=TESTED, at__gt=now - TEST_EVERY).first()
    if last is not None:
        wait_s = (last.at + TEST_EVERY - now).total_seconds()
        raise RateLimited(
            f"It was tested a moment ago. Try again in {max(round(wait_s), 1)} seconds.",
            retry_after_s=wait_s,
        )
    _remember(credential, TESTED, by=by)


@transaction.atomic
def save_contact(
    *, contributor_id: int, name: str, email: str, webhook: str | None = None
) -> Contributor:
    """How they are called and told. `webhook` None leaves the address as it is, "" forgets it."""
    contributor = Contributor.objects.select_for_update().get(pk=contributor_id)
    contributor.name, contributor.email = name, email
    fields = ["name", "email"]
    if webhook is not None:
        contributor.webhook = {"url": webhook} if webhook else {}
        fields.append("webhook")
    contributor.save(update_fields=fields)
    return contributor


def forget_email(*, contributor_id: int) -> None:
    Contributor.objects.filter(pk=contributor_id).update(email="")


@transaction.atomic
def renew_link(*, contributor_id: int) -> Contributor:
    """From now on the old link, and every browser that came by it, is a stranger's."""
    # The page of an attempt shows the link once more to the browser it began in; whose that was is not known.
    Flow.objects.filter(contributor_id=contributor_id).update(contributor=None)
    Contributor.objects.filter(pk=contributor_id).update(link_version=F("link_version") + 1)
    return Contributor.objects.get(pk=contributor_id)


def _lent(credential_id: int, *, lock: bool = False) -> Credential:
    rows = Credential.objects.select_for_update() if lock else Credential.objects
    credential = rows.get(pk=credential_id)
    if credential.state == State.WITHDRAWN:
        raise Conflict(_TAKEN_BACK)
    return credential


def _update(credential: Credential, revision: int, *fields: str) -> None:
    credential.revision, credential.updated_at = revision, timezone.now()
    names = (*fields, "revision", "updated_at")
    Credential.objects.filter(pk=credential.pk).update(
        **{name: getattr(credential, name) for name in names}
    )


def _remember(credential: Credential, event: str, *, by: str) -> None:
    StateChange.objects.create(
        credential=credential,
        event=event,
        from_state=credential.state,
        to_state=credential.state,
        by=by,
    )
