from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Announcement
from gateway.lib.audit import AuditEntry

ALL = "/api/announcements"
CURRENT = "/api/announcements/current"

pytestmark = pytest.mark.django_db


@pytest.fixture
def committed(django_capture_on_commit_callbacks):
    """committed(call) -> its answer, with what happens after the commit."""

    def committed(call, *args, **kwargs):
        with django_capture_on_commit_callbacks(execute=True):
            return call(*args, format="json", **kwargs)

    return committed


def titles(client):
    return [one["title"] for one in client.get(CURRENT).data]


def test_what_is_announced_is_seen_at_once_and_goes_at_once(alice, signed_in, committed):
    client = signed_in(alice)
    assert titles(APIClient()) == []
    made = committed(client.post, ALL, {"title": "Maintenance", "text": "On Sunday."})
    assert made.status_code == 201
    assert titles(APIClient()) == ["Maintenance"]
    one = f"{ALL}/{made.data['id']}"
    committed(client.patch, one, {"title": "Maintenance is over"})
    assert titles(APIClient()) == ["Maintenance is over"]
    assert committed(client.delete, one).status_code == 204
    assert titles(APIClient()) == []


def test_each_change_is_audited_with_before_and_after(alice, signed_in, committed):
    client = signed_in(alice)
    one = f"{ALL}/{committed(client.post, ALL, {'title': 'Hello'}).data['id']}"
    committed(client.patch, one, {"level": "warning"})
    committed(client.delete, one)
    deleted, edited, created = AuditEntry.objects.filter(action__startswith="announcements.")
    assert (created.before, created.after["title"]) == ({}, "Hello")
    assert (edited.before, edited.after) == ({"level": "info"}, {"level": "warning"})
    assert (deleted.before["title"], deleted.after) == ("Hello", {})


def test_it_is_shown_from_its_beginning_to_its_end(monkeypatch):
    now = timezone.now()
    hour = timedelta(hours=1)
    Announcement.objects.create(title="over", starts_at=now - 2 * hour, ends_at=now - hour)
    Announcement.objects.create(title="now", starts_at=now - hour, ends_at=now + hour)
    Announcement.objects.create(title="soon", starts_at=now + hour)
    assert titles(APIClient()) == ["now"]
    monkeypatch.setattr("accounts.announcing.timezone.now", lambda: now + hour)
    assert titles(APIClient()) == ["soon"]


def test_some_are_for_whoever_is_signed_in(bob, signed_in):
    Announcement.objects.create(title="inside", audience="members")
    assert titles(APIClient()) == []
    assert titles(signed_in(bob)) == ["inside"]


def test_pages_show_them_by_one_query_in_half_a_minute(django_assert_num_queries):
    Announcement.objects.create(title="Hello <b>all</b>", text="One.\n\nTwo.", level="warning")
    text = Client().get(reverse("dashboard:landing")).content.decode()
    assert "Hello &lt;b&gt;all&lt;/b&gt;" in text
    assert "<p>Two.</p>" in text
    with django_assert_num_queries(0):
        APIClient().get(CURRENT)


def test_it_cannot_end_before_it_starts(alice, signed_in):
    client = signed_in(alice)
    now = timezone.now()
    body = {"title": "x", "starts_at": now, "ends_at": now - timedelta(seconds=1)}
    assert client.post(ALL, body, format="json").data.keys() == {"ends_at"}
    made = client.post(ALL, {"title": "x", "starts_at": now}, format="json").data
    late = {"ends_at": now - timedelta(days=1)}
    assert client.patch(f"{ALL}/{made['id']}", late, format="json").status_code == 400


def test_only_operators_announce(bob, signed_in):
    assert signed_in(bob).post(ALL, {"title": "x"}, format="json").status_code == 403
    assert APIClient().get(ALL).status_code == 401
