"""Writes: keys are switched off and on, revoked and deleted, one by one or many at a time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import ApiKey, Group
from accounts.services import changing
from gateway.lib.errors import Conflict, InvalidRequest
from gateway.lib.models import bump
from quotas.services import batches

MOST_AT_ONCE = 10_000

ACTIONS = {
    "enable": "Switch on",
    "disable": "Switch off",
    "revoke": "Revoke for good",
    "delete": "Delete",
    "grant": "Grant credits",
    "group": "Put into a group",
}
"""What can be done to many, and how it is called."""


@transaction.atomic
def set_key_active(*, key: ApiKey, is_active: bool, by_owner: bool = False) -> ApiKey:
    """Pause a key or let it work again. Raises InvalidRequest for a revoked one, Conflict for a deleted one, and for one that an
    operator switched off when its owner wants it on again."""
    revision = changing.begin(key)
    if key.revoked_at is not None:
        raise InvalidRequest("A revoked key stays revoked: issue a new one.")
    if is_active and by_owner and key.held_by_operator:
        raise Conflict("The operator of this site switched this key off: ask them.")
    key.is_active = is_active
    if not by_owner:
        key.held_by_operator = not is_active
    return changing.store(key, revision, "is_active", "held_by_operator")


@transaction.atomic
def revoke_key(*, key: ApiKey) -> ApiKey:
    """For good; a second time changes nothing."""
    revision = changing.begin(key)
    if key.revoked_at is None:
        key.is_active = False
        key.revoked_at = timezone.now()
        changing.store(key, revision, "is_active", "revoked_at")
    return key


@transaction.atomic
def delete_key(*, key: ApiKey) -> ApiKey:
    """It works no more and is in no list; what it used, and its credits, stay in the books. Raises Conflict when it was deleted already."""
    revision = changing.begin(key)
    key.is_active = False
    key.deleted_at = timezone.now()
    return changing.store(key, revision, "is_active", "deleted_at")


@transaction.atomic
def change_many(
    *,
    action: str,
    key_ids: Collection[int],
    amount_micros: int = 0,
    reason: str = "",
    group: Group | None = None,
    actor: str = "",
) -> list[str]:
    """One of ACTIONS on these keys, all or none of them; the public ids of those it changed.

    Left as they are: deleted ones; revoked ones, where they are switched on or off; keys without a limit, where credits are granted. Raises
    InvalidRequest for too many, an action that there is not, and credits as `give_each` does.
    """
    if action not in ACTIONS:
        raise InvalidRequest(f"There is no such action: {', '.join(ACTIONS)}.", param="action")
    if len(key_ids) > MOST_AT_ONCE:
        raise InvalidRequest(
            f"These are {len(key_ids):,} keys, more than the {MOST_AT_ONCE:,} that can be changed at once."
        )
    revision = bump(ApiKey.TOPIC)
    meant = ApiKey.objects.filter(pk__in=key_ids, deleted_at=None)
    if action in ("enable", "disable", "revoke"):
        meant = meant.filter(revoked_at=None)
    if action == "grant":
        meant = meant.filter(balance__open_ended=False)
    rows = list(meant.values_list("pk", "public_id", "balance_id"))
    if action == "grant":
        batches.give_each(
            balance_ids=[balance_id for _, _, balance_id in rows],
            amount_micros=amount_micros,
            reason=reason or "granted",
            actor=actor,
        )
    fields = _fields(action, group)
    ApiKey.objects.filter(pk__in=[pk for pk, _, _ in rows]).update(revision=revision, **fields)
    return [public_id for _, public_id, _ in rows]


def _fields(action: str, group: Group | None) -> dict[str, Any]:
    now = timezone.now()
    if action == "enable":
        return {"is_active": True, "held_by_operator": False}
    if action == "disable":
        return {"is_active": False, "held_by_operator": True}
    if action == "revoke":
        return {"is_active": False, "revoked_at": now}
    if action == "delete":
        return {"is_active": False, "deleted_at": now}
    return {"group": group} if action == "group" else {}
