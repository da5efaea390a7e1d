from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError

from accounts.models import ApiKey, User

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_people_are_members_unless_told_otherwise(bob):
    assert bob.role == User.Role.MEMBER
    assert not bob.is_staff
    assert not bob.is_superuser


def test_djangos_own_superusers_are_operators(db):
    assert User.objects.create_superuser("root", password="x").is_operator


@pytest.mark.parametrize(
    "flags",
    [
        {"role": "member", "is_superuser": True},
        {"role": "operator", "is_staff": True},
        {"role": "operator", "is_superuser": True},
    ],
)
def test_flags_and_role_cannot_disagree(db, flags):
    with pytest.raises(IntegrityError):
        User.objects.create(username="odd", **flags)


def test_a_deactivated_operator_is_none(alice):
    alice.is_active = False
    assert not alice.is_operator


def test_a_key_shows_only_its_public_id(issue):
    row, key = issue(description="Team")
    assert str(row) == f"sk-{row.public_id}… Team"
    assert key not in repr(row)
    assert row.digest not in repr(row)


def test_a_revoked_key_cannot_be_active(issue):
    row, _ = issue()
    with pytest.raises(IntegrityError):
        ApiKey.objects.filter(pk=row.pk).update(revoked_at=NOW)


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "active"),
        ({"expires_at": NOW + timedelta(seconds=1)}, "active"),
        ({"expires_at": NOW}, "expired"),
        ({"is_active": False}, "paused"),
        ({"is_active": False, "expires_at": NOW}, "expired"),
        ({"is_active": False, "revoked_at": NOW, "expires_at": NOW}, "revoked"),
    ],
)
def test_the_state_of_a_key(fields, state):
    assert ApiKey(**fields).state_at(NOW) == state
