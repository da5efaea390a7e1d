"""Scripts: signed in as somebody, or with a token."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from accounts.services import tokens


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def signed_in():
    def signed_in(user):
        client = APIClient()
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def with_token():
    """with_token(user, "jobs:read") -> a client with a new token of that person."""

    def with_token(user, *scopes, **options):
        _, text = tokens.make_token(owner=user, name="script", scopes_=scopes, **options)
        return APIClient(headers={"authorization": f"Bearer {text}"})

    return with_token
