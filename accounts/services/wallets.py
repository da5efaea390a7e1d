"""Writes: what a person has to spend."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.utils import timezone

from accounts.models import Group, User
from quotas import services as quota_services
from quotas.models import Balance
from quotas.periods import day_of
from quotas.services import batches, limiting


def open_wallet(*, user: User, actor: str = "") -> User:
    """Of a new person: with their group's grant, or without an end where limits have to be counted, or none. Inside a transaction."""
    if user.balance_id is None and user.group is not None:
        grant = user.group.member_grant_micros
        if grant is not None:
            user.balance = quota_services.open_balance(
                total_micros=grant, label=user.username, actor=actor
            )
            user.save(update_fields=["balance"])
    return counted(user=user)


def counted(*, user: User) -> User:
    """See to the balance that the person's limits and their group's need. Inside a transaction."""
    theirs = user.group.member_limits if user.group else None
    zones = [row.time_zone for row in (user.limits, theirs) if row is not None and row.time_zone]
    balance = quota_services.balance_for(
        balance=user.balance,
        rows=(user.limits, theirs),
        label=user.username,
        time_zone=zones[0] if zones else "",
    )
    if balance is not None and user.balance_id != balance.pk:
        user.balance = balance
        user.save(update_fields=["balance"])
    return user


def count_members(*, group: Group) -> None:
    """The same for all members of a group whose limits were changed, in few queries. Inside a transaction."""
    if not limiting.counts_credits(group.member_limits):
        return
    without = list(
        User.objects.select_for_update().filter(group=group, balance=None).order_by("pk")
    )
    opened = batches.open_balances(labels=[one.username for one in without], total_micros=None)
    for user, balance in zip(without, opened, strict=True):
        user.balance = balance
    User.objects.bulk_update(without, ["balance"], batch_size=500)
    zone = (group.member_limits and group.member_limits.time_zone) or settings.TIME_ZONE
    for balance in _uncounted(group, day_of(timezone.now().timestamp(), zone)):
        quota_services.count_periods(balance_id=balance.pk, time_zone=zone)


def _uncounted(group: Group, today: int) -> Iterable[Balance]:
    """Never, or not since: the group may have had no such limits for a while."""
    return Balance.objects.filter(user__group=group).exclude(day=today).order_by("pk")
