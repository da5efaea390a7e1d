"""Alice operates the site, Bob is a member, Charlie has nothing."""

from __future__ import annotations

import pytest
from django.core.cache import cache

from accounts.models import User
from accounts.services import create_operator
from quotas import services


@pytest.fixture
def alice(db):
    return create_operator(username="alice", password="rather-long-words")


@pytest.fixture
def bob(db):
    """With ten credits in his wallet."""
    user = User.objects.create_user("bob", password="rather-long-words")
    user.balance = services.open_balance(total_micros=10_000_000, label="bob")
    user.save()
    return user


@pytest.fixture
def campaign(db):
    """Each redemption gives two credits."""
    return services.save_campaign(
        campaign=None, values={"name": "Spring", "amount_micros": 2_000_000}
    )


@pytest.fixture(autouse=True)
def _nobody_tried_yet():
    cache.clear()
