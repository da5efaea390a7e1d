"""What a key used, counted from the sums and from the log: every request once, wherever the seam between them lies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apiproxy.models import RequestLog, UsageDay
from apiproxy.selectors.keys import spent_by_day, spent_by_model, used_by_model
from apiproxy.services.rollup import roll_up

pytestmark = pytest.mark.django_db
CREDIT = 1_000_000
KEY = 7
_numbers = count()


def called(at, model="gemini-2.5-flash", credits=2, key_id=KEY, **fields):
    facts = {
        "dialect": "openai-chat",
        "action": "generate",
        "stream": False,
        "status": 200,
        "input_tokens": 10,
        "output_tokens": 5,
        "duration_ms": 100,
    }
    return RequestLog.objects.create(
        request_id=f"req_{next(_numbers)}",
        at=at,
        key_id=key_id,
        model=model,
        cost_micros=credits * CREDIT,
        **facts | fields,
    )


@pytest.fixture(params=[(0, 20), (1, 5), (12, 40), (23, 59)])
def history(request, monkeypatch):
    """A request in each of the last three hours, and on each of the three days before; one of another key. Also where the last
    whole hour lies before midnight."""
    now = datetime(2026, 11, 21, *request.param, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    for hours in (0, 1, 2):
        called(now - timedelta(hours=hours))
    for days in (1, 2, 3):
        called(now - timedelta(days=days), "gemini-2.5-pro", 10)
    called(now, key_id=8)
    called(now, status=429, credits=0)
    return now


def totals(now):
    points = used_by_model(KEY, now - timedelta(days=6), "day")
    found = {}
    for _, models in points:
        for model, used in models.items():
            requests, successes, cost = found.get(model, (0, 0, 0))
            found[model] = (
                requests + used.requests,
                successes + used.successes,
                cost + used.cost_micros // CREDIT,
            )
    return found


EVERYTHING = {"gemini-2.5-flash": (4, 3, 6), "gemini-2.5-pro": (3, 3, 30)}
SPENT = {KEY: {"gemini-2.5-pro": 30 * CREDIT, "gemini-2.5-flash": 6 * CREDIT}}


def test_before_anything_was_added_up(history):
    assert totals(history) == EVERYTHING
    assert spent_by_model([KEY]) == SPENT


def test_after_all_was_added_up(history):
    roll_up(now=history)
    assert UsageDay.objects.exists()
    assert totals(history) == EVERYTHING
    assert spent_by_model([KEY]) == SPENT


def test_what_was_logged_after_the_last_round_counts_at_once(history):
    roll_up(now=history)
    called(history, "gemini-3-pro", 4)
    # Began in an hour that was added up.
    called(history.replace(minute=0, second=0) - timedelta(minutes=5), "gemini-3-pro", 4)
    assert totals(history)["gemini-3-pro"] == (2, 2, 8)
    assert spent_by_model([KEY])[KEY]["gemini-3-pro"] == 8 * CREDIT


def test_what_the_log_forgot_is_in_the_sums(history):
    roll_up(now=history)
    RequestLog.objects.filter(at__lt=history - timedelta(hours=20)).delete()
    assert totals(history) == EVERYTHING
    assert spent_by_model([KEY]) == SPENT


def test_every_hour_of_a_day_has_its_point(history):
    points = used_by_model(KEY, history - timedelta(hours=23), "hour")
    assert len(points) == 24
    assert [at.minute for at, _ in points] == [0] * 24
    assert sum(used.requests for _, models in points for used in models.values()) == 4


def test_where_the_newest_part_of_the_log_begins_is_found_by_its_time(history):
    """By the numbers all of the log would be gone through, from its beginning."""
    roll_up(now=history)
    with CaptureQueriesContext(connection) as queries:
        spent_by_model([KEY])
    [asked] = [query["sql"] for query in queries if "MIN(" in query["sql"]]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {asked}")
            assert "(at>?)" in str(cursor.fetchall())


def test_several_keys_at_once(history, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):
        assert set(spent_by_model([KEY, 8, 9])) == {KEY, 8}


def test_the_days_of_a_span(history):
    roll_up(now=history)
    first = history.replace(hour=0, minute=0, second=0, microsecond=0)
    days = spent_by_day(KEY, history - timedelta(days=2), first)
    assert sum(sum(models.values()) for models in days.values()) >= 20 * CREDIT
    assert all(history - timedelta(days=3) < day < first for day in days)
    everything = spent_by_day(KEY, history - timedelta(days=10), history + timedelta(days=1))
    assert sum(sum(models.values()) for models in everything.values()) == 36 * CREDIT


def test_a_model_that_nobody_knows_has_a_name_for_pages(history):
    called(history, model="", credits=0, status=404)
    assert used_by_model(KEY, history, "day")[-1][1]["?"].requests == 1


@pytest.mark.parametrize("step", ["hour", "day"])
def test_a_model_that_nobody_knows_is_not_forgotten_by_the_sums(history, step):
    for days in (0, 1, 2):
        called(history - timedelta(days=days, hours=4), model="", credits=0, status=404)
    before = used_by_model(KEY, history - timedelta(days=6), step)
    roll_up(now=history)
    assert used_by_model(KEY, history - timedelta(days=6), step) == before
    assert sum(models["?"].requests for _, models in before if "?" in models) == 3
