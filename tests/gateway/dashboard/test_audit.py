from __future__ import annotations

import csv
import io

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from gateway.dashboard.audit import A_PAGE
from gateway.lib.audit import AuditEntry, record

API = "/api/audit"


@pytest.fixture
def alice(db, django_user_model):
    client = APIClient()
    client.force_login(django_user_model.objects.create_superuser("alice"))
    return client


@pytest.fixture
def entries(db):
    record(actor="alice", action="keys.rotate", subject="key a", address="203.0.113.7")
    record(actor="bob", action="keys.edit", subject="key b", why="=1+1")
    record(actor="alice", action="groups.edit", subject="group 1")


def actions(answer):
    return [one["action"] for one in answer.data["results"]]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["groups.edit", "keys.edit", "keys.rotate"]),
        ({"actor": "alice"}, ["groups.edit", "keys.rotate"]),
        ({"action": "keys.edit"}, ["keys.edit"]),
        ({"action": "keys."}, ["keys.edit", "keys.rotate"]),
        ({"action": "keys"}, []),
        ({"subject": "key a"}, ["keys.rotate"]),
        ({"address": "203.0.113.7"}, ["keys.rotate"]),
        ({"search": "KEY B"}, ["keys.edit"]),
        ({"since": "2000-01-01T00:00:00Z"}, ["groups.edit", "keys.edit", "keys.rotate"]),
        ({"until": "2000-01-01T00:00:00Z"}, []),
    ],
)
def test_filters(alice, entries, asked, found):
    assert actions(alice.get(API, asked)) == found


def test_one_entry_and_none(alice, entries):
    entry = AuditEntry.objects.first()
    assert alice.get(f"{API}/{entry.pk}").data["action"] == entry.action
    assert alice.get(f"{API}/{10**17}").status_code == 404


def test_nobody_writes_to_it(alice, entries):
    one = f"{API}/{AuditEntry.objects.first().pk}"
    assert alice.post(API).status_code == 405
    assert {alice.put(one).status_code, alice.delete(one).status_code} == {405}


def test_as_csv_that_no_spreadsheet_runs(alice, entries):
    record(actor="=cmd", action="keys.edit")
    answer = alice.get("/api/audit.csv", {"action": "keys."})
    assert answer["Content-Type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [line["actor"] for line in lines] == ["'=cmd", "bob", "alice"]
    assert lines[1]["detail"] == '{"why": "=1+1"}'


def test_only_operators_read_it(db, django_user_model):
    stella = APIClient()
    stella.force_login(django_user_model.objects.create_user("stella", role="steward"))
    for path in (API, "/api/audit.csv", reverse("dashboard:audit")):
        assert stella.get(path).status_code == 403
        assert APIClient().get(path).status_code in (302, 401)


def test_the_page_shows_before_and_after(alice, entries):
    AuditEntry.objects.create(
        actor="alice",
        action="keys.edit",
        subject="key <b>",
        before={"rpm": 5, "models": []},
        after={"rpm": None, "models": ["a", "b"]},
    )
    text = alice.get(reverse("dashboard:audit")).content.decode()
    assert "<del>5</del> <ins>–</ins>" in text
    assert "<ins>a, b</ins>" in text
    assert "key &lt;b&gt;" in text


def test_the_page_is_filtered_and_goes_on(alice, django_assert_max_num_queries):
    for number in range(A_PAGE + 1):
        record(actor="carol", action="x.y", subject=f"thing {number}")
    with django_assert_max_num_queries(8):
        text = alice.get(reverse("dashboard:audit"), {"actor": "carol"}).content.decode()
    assert text.count('id="entry-') == A_PAGE
    older = AuditEntry.objects.filter(actor="carol").order_by("-pk")[A_PAGE - 1].pk
    assert f"?actor=carol&amp;before={older}" in text
    rest = alice.get(reverse("dashboard:audit"), {"actor": "carol", "before": older})
    assert rest.content.decode().count('id="entry-') == 1


@pytest.mark.parametrize(
    "query", ["before=x", "before=-1", "before=99999999999999999999", "search=%00", "actor=" + "x" * 500]
)  # fmt: skip
def test_nonsense_in_the_address_breaks_nothing(alice, entries, query):
    assert alice.get(f"{reverse('dashboard:audit')}?{query}").status_code == 200


def test_a_filter_that_cannot_be_is_said_to_be_one(alice, entries):
    text = alice.get(reverse("dashboard:audit"), {"actor": "x" * 500}).content.decode()
    assert "at most 150 characters" in text
