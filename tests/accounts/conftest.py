"""Alice operates the site and owns keys, Bob is a member, Charlie has nothing."""

from __future__ import annotations

import pytest

from accounts import services
from accounts.models import User

CREDIT = 1_000_000


@pytest.fixture
def alice(db):
    return services.create_operator(username="alice", password="rather-long-words")


@pytest.fixture
def bob(db):
    return User.objects.create_user("bob", password="rather-long-words")


@pytest.fixture
def charlie(db):
    return User.objects.create_user("charlie", password="rather-long-words")


@pytest.fixture
def issue(db):
    """issue(...) -> (row, key) with ten credits unless told otherwise."""

    def issue(**changes):
        return services.issue_key(**{"quota_micros": 10 * CREDIT, **changes})

    return issue


@pytest.fixture
def many_keys(db):
    """many_keys(count, ...) -> rows with a credit each unless told otherwise."""

    def many_keys(count, **changes):
        made = []
        for begin in range(0, count, 1000):
            made += services.issue_batch(
                **{
                    "count": min(1000, count - begin),
                    "quota_micros": CREDIT,
                    "description": "Seat",
                    **changes,
                }
            )
        return [one.row for one in made]

    return many_keys
