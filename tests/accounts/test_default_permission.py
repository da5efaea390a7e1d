"""The project's default permission, for people and for the panel password."""

from __future__ import annotations

import pytest
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from accounts.models import User


class Guarded(APIView):
    """Has the project's default authentication and permission."""

    def get(self, request):
        return Response({"user": request.user.username})


def answer(user=None, **headers):
    request = APIRequestFactory().get("/", headers=headers)
    if user is not None:
        force_authenticate(request, user)
    return Guarded.as_view()(request)


def test_views_are_for_operators_unless_they_say_otherwise(alice, bob):
    assert answer(alice).status_code == 200
    assert answer(bob).status_code == 403
    assert answer().status_code == 401


@pytest.mark.parametrize("role", [User.Role.STEWARD, User.Role.MEMBER, User.Role.CONTRIBUTOR])
def test_no_other_role_passes(db, role):
    assert answer(User.objects.create_user("dora", role=role)).status_code == 403


def test_the_panel_password_passes(db, settings):
    settings.PANEL_PASSWORD = "let-me-in"
    assert answer(authorization="Bearer let-me-in").status_code == 200
    assert answer(authorization="Bearer let-me-out").status_code == 401
