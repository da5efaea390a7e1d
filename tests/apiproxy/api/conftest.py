from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accounts.models import Group, User
from accounts.services import create_operator, issue_key
from apiproxy.models import RequestLog
from apiproxy.services.rollup import roll_up
from tests import usage_rows

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
PASSWORD = "rather-long-words"


@pytest.fixture
def people(db):
    """Alice operates, Bob is a member with a key, Charlie is one without."""
    group = Group.objects.create(name="friends")
    bob = User.objects.create_user("bob", password=PASSWORD, group=group)
    return {
        "alice": create_operator(username="alice", password=PASSWORD),
        "bob": bob,
        "charlie": User.objects.create_user("charlie", password=PASSWORD),
        "key": issue_key(quota_micros=10**9, description="Bob's", owner=bob)[0],
        "group": group,
    }


@pytest.fixture
def log(people):
    """Six days, a third of it Bob's."""
    usage_rows.fill(900, until=NOW, days=6)
    RequestLog.objects.filter(status__lt=400, dialect="openai-chat").update(
        key_id=people["key"].pk, owner_id=people["bob"].pk, group_id=people["group"].pk
    )
    roll_up(now=NOW)
    return RequestLog.objects.all()


@pytest.fixture
def signed_in(client, people):
    def signed_in(name):
        client.force_login(people[name])
        return client

    return signed_in
