"""Who may do what."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.models import User

_STEWARDS = (User.Role.OPERATOR, User.Role.STEWARD)


def is_operator(user: AbstractBaseUser | AnonymousUser | None) -> bool:
    return isinstance(user, User) and user.is_operator


def is_steward(user: AbstractBaseUser | AnonymousUser | None) -> bool:
    """Manages lent credentials and never reads a secret; an operator may do all that a steward may."""
    return isinstance(user, User) and user.is_active and user.role in _STEWARDS


class IsSteward(BasePermission):
    message = "Only operators and stewards may do this."

    def has_permission(self, request: Request, view: object) -> bool:
        return is_steward(request.user)


class IsOperator(BasePermission):
    """An operator's session, or the panel password."""

    message = "Only operators may do this."

    def has_permission(self, request: Request, view: object) -> bool:
        return is_operator(request.user)
