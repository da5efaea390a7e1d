"""Olga operates, Stella is a steward, Max a member; `as_…` are browsers and scripts signed in as them."""

import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient


def _signed_in(name, role):
    users = get_user_model().objects
    if role == "operator":
        user = users.create_superuser(name, password="rather-long-words")
    else:
        user = users.create_user(name, password="rather-long-words", role=role)
    client = APIClient()
    client.force_login(user)
    return client


@pytest.fixture
def olga(db):
    return _signed_in("olga", "operator")


@pytest.fixture
def stella(db):
    return _signed_in("stella", "steward")


@pytest.fixture
def max_(db):
    return _signed_in("max", "member")
