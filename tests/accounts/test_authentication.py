from __future__ import annotations

import pytest
from rest_framework.test import APIRequestFactory

from accounts.authentication import PanelPasswordAuthentication


def authenticate(**headers):
    return PanelPasswordAuthentication().authenticate(APIRequestFactory().get("/", headers=headers))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_panel_password_is_an_operator_without_a_row(settings, scheme):
    settings.PANEL_PASSWORD = "pässword with spaces"
    user, auth = authenticate(authorization=f"{scheme} pässword with spaces".encode())
    assert user.is_operator
    assert user.pk is None
    assert auth is None


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer other", "Bearer let-me-in-too", "Basic let-me-in", "let-me-in"]
)
def test_anything_else_is_left_to_other_authentications(settings, header):
    settings.PANEL_PASSWORD = "let-me-in"
    assert authenticate(authorization=header) is None


@pytest.mark.parametrize("header", ["Bearer ", "Bearer", ""])
def test_without_the_setting_nobody_gets_in(settings, header):
    settings.PANEL_PASSWORD = ""
    assert authenticate(authorization=header) is None
