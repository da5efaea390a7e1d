"""Who may do what."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.models import User


def is_operator(user: AbstractBaseUser | AnonymousUser | None) -> bool:
    return isinstance(user, User) and user.is_operator


class IsOperator(BasePermission):
    """An operator's session, or the panel password."""

    message = "Only operators may do this."

    def has_permission(self, request: Request, view: object) -> bool:
        return is_operator(request.user)
