"""Pages of the log: complete, in order, and never long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from apiproxy.models import RequestLog
from apiproxy.selectors import requests
from apiproxy.selectors.requests import all_of, between, last_requests, page
from tests import usage_rows

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)


@pytest.fixture
def log(monkeypatch):
    usage_rows.fill(1200, until=NOW, days=4)
    monkeypatch.setattr(requests, "_SPANS", (10, 100))
    return RequestLog.objects.all()


def ids(rows):
    return list(rows.order_by("-id").values_list("pk", flat=True))


def walked(rows, *, size=7, **options):
    found, before, pages = [], None, 0
    while True:
        one = page(rows, before=before, size=size, **options)
        assert len(one.rows) <= size
        found += [row.pk for row in one.rows]
        pages += 1
        if one.before is None:
            return found, pages
        assert before is None or one.before < before
        before = one.before


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize(
    "filters", [{}, {"dialect": "gemini"}, {"status__gte": 500}, {"status": 418}, {"key_id": 1}]
)
def test_page_after_page_is_everything_in_order(log, filters, indexed):
    rows = log.filter(**filters)
    assert walked(rows, indexed=indexed)[0] == ids(rows)
    assert [row.pk for some in all_of(rows, indexed=indexed, size=50) for row in some] == ids(rows)


def test_a_search_that_takes_too_long_goes_on_in_the_next_page(log):
    ticks = iter(range(10_000))
    rows = log.filter(error_code="internal_error")
    found, pages = walked(rows, indexed=False, budget_s=0, clock=lambda: next(ticks))
    assert found == ids(rows)
    assert pages > 10


def test_rows_that_come_meanwhile_do_not_shift_the_pages(log):
    first = page(log, before=None, size=5, indexed=False)
    usage_rows.fill(10, until=NOW)
    second = page(log, before=first.before, size=5, indexed=False)
    assert [row.pk for row in (*first.rows, *second.rows)] == ids(log)[10:20]


@pytest.mark.parametrize("indexed", [True, False])
def test_an_empty_log(db, indexed):
    assert page(RequestLog.objects.all(), before=None, size=5, indexed=indexed).before is None


def test_a_span_holds_what_began_in_it(log):
    for since, until in (
        (NOW - timedelta(hours=30), NOW - timedelta(hours=10)),
        (None, NOW - timedelta(hours=70)),
        (NOW - timedelta(hours=5), None),
        (NOW, NOW + timedelta(days=2)),
        (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
    ):
        rows = log
        rows = rows.filter(at__gte=since) if since else rows
        rows = rows.filter(at__lt=until) if until else rows
        assert ids(between(log, since, until)) == ids(rows)


def test_a_call_that_took_long_is_found_where_it_began(log):
    """It is logged, and numbered, hours after those that began with it."""
    began = NOW - timedelta(hours=50)
    row = RequestLog.objects.filter(at__lt=began).order_by("-at").first()
    late = RequestLog.objects.filter(at__gt=began + timedelta(hours=2)).order_by("at").first()
    RequestLog.objects.filter(pk=late.pk).update(at=row.at)
    span = between(log, row.at, row.at + timedelta(seconds=1))
    assert late.pk in ids(span)


def test_a_span_bounds_the_numbers_that_are_looked_at(log):
    rows = between(log, NOW - timedelta(hours=30), NOW - timedelta(hours=20)).order_by("-id")[:10]
    with connection.cursor() as cursor:
        explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        statement, values = rows.query.sql_with_params()
        cursor.execute(f"{explain} {statement}", values)
        plan = str(cursor.fetchall())
    if connection.vendor == "sqlite":
        assert "rowid>? AND rowid<?" in plan
        assert "TEMP B-TREE" not in plan


@pytest.mark.skipif(connection.vendor != "sqlite", reason="of SQLite's planner")
@pytest.mark.parametrize("column", ["key_id", "owner_id", "credential_id", "model"])
def test_a_list_by_one_of_these_reads_nothing_else(log, column):
    with connection.cursor() as cursor:
        rows = log.filter(**{column: 1}).order_by("-id")[:10]
        statement, values = rows.query.sql_with_params()
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        [step] = [row[-1] for row in cursor.fetchall()]
    assert step.startswith("SEARCH")
    assert f"({column}=?" in step


def test_the_last_requests_of_a_key(log):
    rows = log.filter(key_id=1)
    assert [row.pk for row in last_requests(1, 5)] == ids(rows)[:5]
