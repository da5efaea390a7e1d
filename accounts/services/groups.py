"""Writes: groups of people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q

from accounts.models import ApiKey, Group
from accounts.services.invitations import open_now
from accounts.services.wallets import count_members
from gateway.lib.errors import Conflict
from gateway.lib.models import bump
from quotas import services as quota_services

EDITABLE = (
    "name",
    "note",
    "is_default",
    "member_grant_micros",
    "member_keys",
    "tariff",
    "price_factor",
)


@transaction.atomic
def save_group(
    *,
    group: Group | None,
    changes: Mapping[str, Any],
    limits: Mapping[str, Any] | None = None,
    member_limits: Mapping[str, Any] | None = None,
    actor: str = "",
) -> Group:
    """`changes`: any of EDITABLE, and total_micros (what all members together may spend; None: no limit). `limits` and
    `member_limits`: those that change. A new default takes the place of the one before.

    Raises ValidationError for what cannot be stored, Conflict for a total below what is used.
    """
    # One at a time: there is one default, and members are counted as they are now.
    revision = bump(ApiKey.TOPIC)
    group = Group() if group is None else Group.objects.select_for_update().get(pk=group.pk)
    for name in EDITABLE:
        if name in changes:
            setattr(group, name, changes[name])
    if group.is_default:
        Group.objects.filter(is_default=True).exclude(pk=group.pk).update(is_default=False)
    group.full_clean(exclude=["balance", "limits", "member_limits"])
    if limits is not None:
        group.limits = quota_services.save_limits(row=group.limits, values=limits)
    if member_limits is not None:
        group.member_limits = quota_services.save_limits(
            row=group.member_limits, values=member_limits
        )
    if "total_micros" in changes:
        _set_total(group, changes["total_micros"], actor)
    group.balance = quota_services.balance_for(
        balance=group.balance,
        rows=(group.limits,),
        label=_label(group),
        time_zone=group.limits.time_zone if group.limits else "",
    )
    group.save()
    count_members(group=group)
    # A key that names another group has its owner's limits still.
    ApiKey.objects.filter(Q(group=group) | Q(owner__group=group)).update(revision=revision)
    saved: Group = with_all().get(pk=group.pk)
    return saved


@transaction.atomic
def delete_group(*, group: Group) -> None:
    """Raises Conflict for one that somebody or something belongs to; its balance stays in the ledger. Keys that were deleted and
    invitations that are over, which nobody can move, belong to none afterwards."""
    group = Group.objects.select_for_update().get(pk=group.pk)
    belonging = {
        "members": group.members.count(),
        "keys": group.keys.filter(deleted_at=None).count(),
        "key templates": group.templates.count(),
        "invitations": group.invitations.filter(open_now()).count(),
    }
    if found := [f"{count} {what}" for what, count in belonging.items() if count]:
        raise Conflict(f"Move them first: {', '.join(found)} belong to this group.")
    rows = [row for row in (group.limits, group.member_limits) if row is not None]
    group.keys.exclude(deleted_at=None).update(group=None)
    group.invitations.exclude(open_now()).update(group=None)
    group.delete()
    for row in rows:
        row.delete()


def with_all() -> Any:
    return Group.objects.select_related("balance", "limits", "member_limits")


def _set_total(group: Group, micros: int | None, actor: str) -> None:
    if group.balance is None:
        if micros is not None:
            group.balance = quota_services.open_balance(
                total_micros=micros, label=_label(group), actor=actor
            )
        return
    try:
        group.balance = quota_services.set_total(
            balance_id=group.balance.pk, total_micros=micros, actor=actor
        )
    except ValueError as exc:
        raise Conflict(f"{exc}".capitalize() + ".") from exc


def _label(group: Group) -> str:
    return f"group {group.name}"
