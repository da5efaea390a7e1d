"""People, groups and invitations as the audit log keeps them before and after a change."""

from __future__ import annotations

from typing import Any

from accounts.models import Group, Invitation, User
from gateway.lib import credits
from quotas.models import Balance, Limits
from quotas.services import values_of


def facts_of_user(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "role": user.role,
        "group": user.group.name if user.group else None,
        "is_active": user.is_active,
        "wallet": total_of(user.balance),
        **_limits("limits", user.limits),
    }


def facts_of_group(group: Group) -> dict[str, Any]:
    grant = group.member_grant_micros
    return {
        "name": group.name,
        "note": group.note,
        "is_default": group.is_default,
        "total": total_of(group.balance),
        "member_grant": None if grant is None else credits.to_text(grant),
        "member_keys": group.member_keys,
        "tariff": group.tariff,
        "price_factor": str(group.price_factor),
        **_limits("limits", group.limits),
        **_limits("member_limits", group.member_limits),
    }


def facts_of_invitation(invitation: Invitation) -> dict[str, Any]:
    return {
        "role": invitation.role,
        "group": invitation.group.name if invitation.group else None,
        "max_uses": invitation.max_uses,
        "expires_at": invitation.expires_at,
        "note": invitation.note,
        "revoked_at": invitation.revoked_at,
    }


def total_of(balance: Balance | None) -> str | None:
    """None: no limit."""
    if balance is None or balance.open_ended:
        return None
    return credits.to_text(balance.total_micros)


def _limits(name: str, row: Limits | None) -> dict[str, Any]:
    return {f"{name}.{field}": value for field, value in values_of(row).items()}
