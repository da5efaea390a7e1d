from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from accounts import selectors, services
from accounts.models import SetupToken
from accounts.selectors import KeyRecord, LinkState
from quotas.terms import Account, Terms


def test_a_record_holds_what_the_proxy_asks_for(bob, issue):
    row, _ = issue(
        owner=bob,
        description="Team",
        allowed_models=["a", "*b*"],
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
    )
    assert selectors.principals_by_public_id([row.public_id]) == [
        KeyRecord(
            key_id=row.pk,
            public_id=row.public_id,
            digest=row.digest,
            owner_id=bob.pk,
            owner_role="member",
            group_id=0,
            is_active=True,
            expires_at=1893456000.0,
            terms=(Terms(f"k{row.pk}", Account(row.balance_id), allowed_models=("a", "*b*")),),
            description="Team",
        )
    ]


def test_a_key_of_nobody_that_never_expires(issue):
    row, _ = issue(quota_micros=None)
    [record] = selectors.principals_by_public_id([row.public_id])
    assert (record.owner_id, record.owner_role, record.expires_at) == (0, "", 0)
    assert record.terms == (Terms(f"k{row.pk}", Account(row.balance_id)),)


def test_many_keys_take_one_query(bob, issue, django_assert_num_queries):
    ids = [issue(owner=bob)[0].public_id for _ in range(3)]
    with django_assert_num_queries(1):
        records = selectors.principals_by_public_id([*ids, "unknown"])
    assert {record.public_id for record in records} == set(ids)


def test_paused_revoked_and_ownerless_keys_come_out_inactive(bob, issue):
    paused, revoked, orphaned = issue()[0], issue()[0], issue(owner=bob)[0]
    services.set_key_active(key=paused, is_active=False)
    services.revoke_key(key=revoked)
    bob.is_active = False
    services.save_user(user=bob)
    records = selectors.principals_by_public_id(
        [paused.public_id, revoked.public_id, orphaned.public_id]
    )
    assert [record.is_active for record in records] == [False] * 3


def test_a_record_hides_its_digest(issue):
    row, _ = issue()
    [record] = selectors.principals_by_public_id([row.public_id])
    assert row.digest not in repr(record)


def test_changes_are_told_once(issue):
    first, second = issue()[0], issue()[0]
    changed, seen = selectors.changed_public_ids_since(0)
    assert changed == [first.public_id, second.public_id]
    assert selectors.changed_public_ids_since(seen) == ([], seen)
    services.revoke_key(key=first)
    changed, newer = selectors.changed_public_ids_since(seen)
    assert changed == [first.public_id]
    assert newer > seen


def test_the_states_of_a_setup_link(db):
    token, other = services.make_setup_token(), services.make_setup_token()
    assert selectors.setup_link_state(token) is LinkState.OPEN
    assert selectors.setup_link_state("guess") is LinkState.UNKNOWN
    services.use_setup_token(token=token, username="alice", password="rather-long-words")
    assert selectors.setup_link_state(token) is LinkState.USED
    assert selectors.setup_link_state(other) is LinkState.LATE


@pytest.mark.parametrize(("age", "state"), [(0.9, LinkState.OPEN), (1, LinkState.EXPIRED)])
def test_a_setup_link_lives_for_a_day(db, age, state):
    token = services.make_setup_token()
    made = timezone.now() - age * selectors.SETUP_LINK_LIFETIME
    SetupToken.objects.update(created_at=made)
    assert selectors.setup_link_state(token) is state
