from __future__ import annotations

import csv
import io

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Group, User
from accounts.services import issue_key
from quotas import ledger, services
from quotas.ledger import Close, Reserve
from quotas.terms import Account

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(bob):
    return issue_key(quota_micros=10_000_000, owner=bob)[0]


@pytest.fixture
def called(key):
    """One call that cost two and a half credits of four."""
    ledger.book([Reserve("req_1", (Account(key.balance_id),), 4_000_000)], [], holder_id="h")
    ledger.book([], [Close("req_1", 2_500_000, "answered")], holder_id="h")


@pytest.fixture
def operator(client, alice):
    client.force_login(alice)
    return client


def kinds(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return [row["kind"] for row in answer.json()["results"]]


def test_entries_are_listed_newest_first_in_credits(operator, called, key):
    [settle, grant] = operator.get(f"/api/ledger?key={key.public_id}").json()["results"]
    assert (settle["kind"], settle["credits"], settle["reserved_credits"]) == ("settle", "2.5", "4")
    assert (settle["request_id"], settle["reason"]) == ("req_1", "answered")
    assert (grant["kind"], grant["credits"]) == ("grant", "10")


def test_they_are_found_by_whose_they_are_and_what_they_are(operator, called, key, bob):
    group = Group.objects.create(name="friends", balance=services.open_balance(total_micros=5))
    assert kinds(operator, f"/api/ledger?balance={key.balance_id}") == ["settle", "grant"]
    assert kinds(operator, "/api/ledger?user=bob") == ["grant"]
    assert kinds(operator, f"/api/ledger?group={group.name}") == ["grant"]
    assert kinds(operator, "/api/ledger?kind=settle&kind=refund") == ["settle"]
    assert kinds(operator, "/api/ledger?request_id=req_1") == ["settle"]
    now = timezone.now().isoformat().replace("+", "%2B")
    assert kinds(operator, f"/api/ledger?since={now}") == []
    assert len(kinds(operator, f"/api/ledger?until={now}")) == 4
    for nobody in ("key=x", "user=charlie"):
        assert kinds(operator, f"/api/ledger?{nobody}") == []
    assert operator.get("/api/ledger?user=%00").status_code == 400
    assert operator.get("/api/ledger?kind=nonsense").status_code == 400


def test_pages_follow_each_other_without_a_gap(operator, key):
    for number in range(7):
        services.adjust(balance_id=key.balance_id, amount_micros=number + 1, reason=str(number))
    seen, url = [], f"/api/ledger?balance={key.balance_id}&page_size=3"
    while url:
        page = operator.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert len(seen) == 8
    assert seen == sorted(seen, reverse=True)


def test_a_table_holds_all_of_them_and_runs_nothing(operator, key):
    services.adjust(balance_id=key.balance_id, amount_micros=1, reason="=HYPERLINK(1)")
    answer = operator.get(f"/api/ledger/csv?key={key.public_id}")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["credits"] for row in rows] == ["0.000001", "10"]
    assert rows[0]["reason"] == "'=HYPERLINK(1)"


def test_a_member_sees_what_is_theirs_and_nothing_else(client, called, key, bob):
    issue_key(quota_micros=77)
    client.force_login(bob)
    assert kinds(client, "/api/my/ledger") == ["settle", "grant", "grant"]
    assert kinds(client, f"/api/my/ledger?balance={key.balance_id + 1}") == []
    assert client.get("/api/ledger").status_code == 403
    client.force_login(User.objects.create_user("charlie"))
    assert kinds(client, "/api/my/ledger") == []
    assert b"".join(client.get("/api/my/ledger/csv")).startswith(b"id,")
    client.logout()
    assert client.get("/api/my/ledger").status_code in (401, 403)


def test_a_list_costs_few_queries(operator, called, django_assert_max_num_queries):
    with django_assert_max_num_queries(6):
        operator.get("/api/ledger")


def test_a_table_adds_up_what_was_taken_away(operator, key):
    services.adjust(balance_id=key.balance_id, amount_micros=-2_500_000, reason="a mistake")
    answer = operator.get(f"/api/ledger/csv?key={key.public_id}")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["credits"] for row in rows] == ["-2.5", "10"]


def test_a_day_that_the_database_does_not_know_is_refused_before_the_table_begins(operator, key):
    answer = operator.get("/api/ledger/csv", {"since": "0001-01-01T00:00:00+14:00"})
    assert answer.status_code == (400 if connection.vendor == "sqlite" else 200)
    assert b"".join(answer).startswith(b"{" if answer.status_code == 400 else b"id,")
