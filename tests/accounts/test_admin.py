from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.urls import reverse

from accounts import services
from accounts.models import ApiKey, User

KEYS = reverse("admin:accounts_apikey_changelist")
ADD_KEY = reverse("admin:accounts_apikey_add")
KEY_IN_PAGE = re.compile(r"sk-[0-9A-Za-z]{48}")


@pytest.fixture
def panel(client, alice):
    client.force_login(alice)
    return client


def change_url(row):
    return reverse("admin:accounts_apikey_change", args=[row.pk])


def run(panel, action, *rows):
    return panel.post(
        KEYS, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True
    )


def test_members_do_not_get_in(client, bob):
    client.force_login(bob)
    assert client.get(KEYS).status_code == 302


def test_a_key_is_issued_and_shown_once(panel, bob):
    answer = panel.post(
        ADD_KEY,
        {
            "quota": "2.5",
            "description": "Team",
            "owner": bob.pk,
            "models": "a, *b*",
            "expires_at_0": "2030-01-01",
            "expires_at_1": "00:00:00",
        },
    )
    assert answer.status_code == 302
    sessions = "".join(Session.objects.values_list("session_data", flat=True))
    page = panel.get(KEYS).content.decode()
    [key] = KEY_IN_PAGE.findall(page)
    row = ApiKey.objects.get()
    assert services.keys.matches(key, row.digest)
    assert (row.description, row.owner, row.allowed_models) == ("Team", bob, ["a", "*b*"])
    assert row.expires_at.isoformat() == "2030-01-01T00:00:00+00:00"
    assert row.balance.total_micros == 2_500_000
    assert key not in panel.get(KEYS).content.decode()
    assert key not in sessions
    assert key not in repr(list(LogEntry.objects.values()))


def test_a_key_without_quota_is_not_issued(panel):
    answer = panel.post(ADD_KEY, {"quota": "", "description": ""})
    assert answer.status_code == 200
    assert not ApiKey.objects.exists()


def test_the_list_shows_what_is_left_and_no_digest(panel, issue, django_assert_max_num_queries):
    rows = [issue(description=f"Team {n}")[0] for n in range(5)]
    with django_assert_max_num_queries(12):
        page = panel.get(KEYS).content.decode()
    for row in rows:
        assert row.masked in page
        assert row.digest not in page
    assert page.count("10 of 10") == 5


def test_a_keys_page_shows_no_digest(panel, issue):
    row, _ = issue(allowed_models=["a", "b"])
    page = panel.get(change_url(row)).content.decode()
    assert row.digest not in page
    assert 'value="a, b"' in page
    assert 'name="quota"' not in page


def test_a_changed_key_reaches_every_process(panel, issue):
    row, _ = issue(allowed_models=["a"])
    before = row.revision
    panel.post(change_url(row), {"description": "Renamed", "models": ""})
    row.refresh_from_db()
    assert (row.description, row.allowed_models) == ("Renamed", [])
    assert row.revision > before


def test_keys_are_revoked_not_deleted(panel, issue):
    row, _ = issue()
    run(panel, "revoke", row)
    row.refresh_from_db()
    assert row.revoked_at is not None
    assert panel.post(reverse("admin:accounts_apikey_delete", args=[row.pk])).status_code == 403


def test_keys_rest_and_work_again(panel, issue):
    row, _ = issue()
    run(panel, "pause", row)
    row.refresh_from_db()
    assert not row.is_active
    run(panel, "resume", row)
    row.refresh_from_db()
    assert row.is_active


def test_a_revoked_key_is_said_to_stay_so(panel, issue):
    row, _ = issue()
    services.revoke_key(key=row)
    answer = run(panel, "resume", row)
    assert b"stays revoked" in answer.content


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
