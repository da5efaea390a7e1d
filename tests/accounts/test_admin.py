from __future__ import annotations

import pytest
from django.urls import reverse

from accounts.models import User

KEYS = reverse("admin:accounts_apikey_changelist")
ADD_KEY = reverse("admin:accounts_apikey_add")


@pytest.fixture
def panel(client, alice):
    client.force_login(alice)
    return client


def change_url(row):
    return reverse("admin:accounts_apikey_change", args=[row.pk])


def test_members_do_not_get_in(client, bob):
    client.force_login(bob)
    assert client.get(KEYS).status_code == 302


def test_the_list_shows_what_is_left_and_no_digest(panel, issue, django_assert_max_num_queries):
    rows = [issue(description=f"Team {n}")[0] for n in range(5)]
    with django_assert_max_num_queries(12):
        page = panel.get(KEYS).content.decode()
    for row in rows:
        assert row.masked in page
        assert row.digest not in page
    assert page.count("10 of 10") == 5


def test_a_keys_page_shows_no_digest_and_takes_no_change(panel, issue):
    row, _ = issue(description="Team")
    page = panel.get(change_url(row)).content.decode()
    assert "Team" in page
    assert row.digest not in page
    assert panel.post(change_url(row), {"description": "Renamed"}).status_code == 403
    assert panel.get(ADD_KEY).status_code == 403
    assert panel.post(reverse("admin:accounts_apikey_delete", args=[row.pk])).status_code == 403


def test_a_person_is_added_with_a_role(panel):
    panel.post(
        reverse("admin:accounts_user_add"),
        {
            "username": "dora",
            "role": "operator",
            "usable_password": "true",
            "password1": "rather-long-words",
            "password2": "rather-long-words",
        },
    )
    dora = User.objects.get(username="dora")
    assert dora.is_operator
    assert dora.is_superuser


def test_a_persons_role_changes_what_their_keys_may(panel, bob, issue):
    row, _ = issue(owner=bob)
    before = row.revision
    panel.post(
        reverse("admin:accounts_user_change", args=[bob.pk]),
        {"username": "bob", "role": "steward", "is_active": "on"},
    )
    bob.refresh_from_db()
    row.refresh_from_db()
    assert bob.role == "steward"
    assert row.revision > before


def test_people_with_keys_are_not_deleted(panel, bob, issue):
    issue(owner=bob)
    panel.post(reverse("admin:accounts_user_delete", args=[bob.pk]), {"post": "yes"})
    assert User.objects.filter(pk=bob.pk).exists()
