"""What an operator does to people, groups and invitations, by the API or a page: each change with its line in the audit log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from accounts import services
from accounts.models import Group, Invitation, User
from accounts.people_facts import facts_of_group, facts_of_invitation, facts_of_user
from accounts.services import groups, invitations
from accounts.services.invitations import TRUSTED, Invited
from accounts.sites import site_of
from gateway.lib import audit
from gateway.lib.credits import to_text
from gateway.lib.errors import Conflict, PermissionDenied
from gateway.lib.scopes import EVERYTHING

LINK_LIFETIME = timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)


def people() -> QuerySet[User]:
    """With what is shown of each, in one query."""
    factor = Authenticator.objects.filter(user=OuterRef("pk"), type=Authenticator.Type.TOTP)
    return User.objects.select_related("group", "balance", "limits").annotate(
        has_factor=Exists(factor)
    )


def all_groups() -> QuerySet[Group]:
    rows: QuerySet[Group] = groups.with_all()
    return rows.annotate(member_count=Count("members"))


@transaction.atomic
def create_user(request: HttpRequest, asked: dict[str, Any]) -> User:
    _check_reach(request, asked.get("role"))
    user = services.create_user(**asked, actor=_name(request))
    audit.record_change(
        request,
        action="users.create",
        subject=f"user {user.username}",
        before={},
        after=facts_of_user(user),
    )
    return user


@transaction.atomic
def edit_user(request: HttpRequest, user: User, asked: dict[str, Any]) -> User:
    _check_reach(request, user.role, asked.get("role"))
    changes = {**asked}
    limits = changes.pop("limits", None)
    before = facts_of_user(people().get(pk=user.pk))
    services.edit_user(user=user, changes=changes, limits=limits, actor=_name(request))
    user = people().get(pk=user.pk)
    audit.record_change(
        request,
        action="users.edit",
        subject=f"user {user.username}",
        before=before,
        after=facts_of_user(user),
    )
    return user


@transaction.atomic
def give_credits(request: HttpRequest, user: User, *, amount_micros: int, reason: str) -> User:
    before = facts_of_user(people().get(pk=user.pk))
    services.give_user_credits(
        user=user, amount_micros=amount_micros, reason=reason, actor=_name(request)
    )
    user = people().get(pk=user.pk)
    audit.record_change(
        request,
        action="users.credits",
        subject=f"user {user.username}",
        before=before,
        after=facts_of_user(user),
        credits=to_text(amount_micros),
        reason=reason,
    )
    return user


@transaction.atomic
def end_sessions(request: HttpRequest, user: User) -> None:
    services.end_sessions(user=user)
    audit.record_request(request, action="users.end-sessions", subject=f"user {user.username}")


@transaction.atomic
def password_link(request: HttpRequest, user: User) -> str:
    """Works until the password is set, the person signs in, or a day is over. It passes by no second factor. Raises Conflict for an
    account that is switched off."""
    _check_reach(request, user.role)
    if not user.is_active:
        raise Conflict("This account is switched off: switch it on first.")
    audit.record_request(request, action="users.password-link", subject=f"user {user.username}")
    facts = {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
    return site_of(request) + reverse("account_reset_password_from_key", kwargs=facts)


@transaction.atomic
def reset_factor(request: HttpRequest, user: User) -> None:
    """For somebody who lost the app and the recovery codes. Ends their sessions too."""
    _check_reach(request, user.role)
    removed, _ = Authenticator.objects.filter(user=user).delete()
    if not removed:
        raise Conflict("This person has no second factor.")
    services.end_sessions(user=user)
    audit.record_request(request, action="users.reset-factor", subject=f"user {user.username}")


@transaction.atomic
def save_group(request: HttpRequest, group: Group | None, asked: dict[str, Any]) -> Group:
    changes = {**asked}
    limits, member_limits = changes.pop("limits", None), changes.pop("member_limits", None)
    before = facts_of_group(group) if group else {}
    group = services.save_group(
        group=group,
        changes=changes,
        limits=limits,
        member_limits=member_limits,
        actor=_name(request),
    )
    audit.record_change(
        request,
        action="groups.edit" if before else "groups.create",
        subject=f"group {group.name}",
        before=before,
        after=facts_of_group(group),
    )
    return group


@transaction.atomic
def delete_group(request: HttpRequest, group: Group) -> None:
    before = facts_of_group(group)
    services.delete_group(group=group)
    audit.record_change(
        request, action="groups.delete", subject=f"group {group.name}", before=before, after={}
    )


@transaction.atomic
def invite(request: HttpRequest, asked: dict[str, Any]) -> list[Invited]:
    _check_reach(request, asked.get("role"))
    person = request.user if isinstance(request.user, User) and request.user.pk else None
    made = invitations.invite(**asked, created_by=person)
    audit.record_change(
        request,
        action="invitations.create",
        subject=f"{len(made)} invitations" if len(made) > 1 else f"invitation {made[0].row.pk}",
        before={},
        after=facts_of_invitation(made[0].row),
        count=len(made),
        invitations=[one.row.pk for one in made],
    )
    return made


@transaction.atomic
def revoke(request: HttpRequest, invitation: Invitation) -> Invitation:
    before = facts_of_invitation(invitation)
    invitations.revoke(invitation=invitation)
    audit.record_change(
        request,
        action="invitations.revoke",
        subject=f"invitation {invitation.pk}",
        before=before,
        after=facts_of_invitation(invitation),
    )
    return invitation


def link_of(request: HttpRequest, code: str) -> str:
    return f"{site_of(request)}{reverse('account_signup')}?invite={code}"


def _check_reach(request: HttpRequest, *roles: str | None) -> None:
    """Raises PermissionDenied for a token of some scopes that lays hands on an operator or a steward: by their account its holder
    could do more than the token may."""
    token = getattr(request, "auth", None)
    if token is not None and EVERYTHING not in token.scopes and not TRUSTED.isdisjoint(roles):
        raise PermissionDenied(
            "Only people, and tokens with the scope *, make operators and stewards, or change their accounts."
        )


def _name(request: HttpRequest) -> str:
    return request.user.get_username()
