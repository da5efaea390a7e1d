"""Use by day: added in batches, read with one query each."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from credentials.models import DailyUse
from credentials.selectors import usage
from credentials.selectors.usage import NO_USE, Use
from credentials.services.uses import add_uses
from gateway.lib.sql import batch
from tests.credentials.samples import store_key

CALIFORNIA = ZoneInfo("America/Los_Angeles")
# Already the 21st in Europe, still the 20th where the quota is counted.
NOW = datetime(2026, 11, 20, 23, 30, tzinfo=CALIFORNIA).timestamp()
TODAY = date(2026, 11, 20)
YESTERDAY = date(2026, 11, 19)

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair():
    return [store_key(letter).pk for letter in "ab"]


def add(*uses):
    with batch() as cursor:
        add_uses(
            cursor, {(pk, day, model, status): counts for pk, day, model, status, counts in uses}
        )


def test_what_is_added_twice_counts_twice(pair):
    for _ in range(2):
        add(
            (pair[0], TODAY, "m", 200, [3, 10, 20]),
            (pair[0], TODAY, "m", 429, [1, 0, 0]),
            (pair[1], TODAY, "m", 200, [1, 1, 1]),
        )
    assert sorted(
        DailyUse.objects.values_list(
            "credential_id", "status", "calls", "input_tokens", "output_tokens"
        )
    ) == [
        (pair[0], 200, 6, 20, 40),
        (pair[0], 429, 2, 0, 0),
        (pair[1], 200, 2, 2, 2),
    ]


def test_a_batch_is_one_statement(pair, django_assert_num_queries):
    uses = {(pair[0], TODAY, f"m{n}", 200): [1, 1, 1] for n in range(400)}

    class Counting:
        statements = 0

        def __init__(self, cursor):
            self._cursor = cursor

        def execute(self, *args):
            Counting.statements += 1
            self._cursor.execute(*args)

    with batch() as cursor:
        add_uses(Counting(cursor), uses)
    assert Counting.statements == 1
    assert DailyUse.objects.count() == 400


def test_a_credential_that_is_gone_harms_no_other(pair):
    add((pair[0], TODAY, "m", 200, [1, 1, 1]), (999_999, TODAY, "m", 200, [1, 1, 1]))
    assert [row.credential_id for row in DailyUse.objects.all()] == [pair[0]]


def test_nothing_to_add_asks_nothing(django_assert_num_queries):
    with batch() as cursor:
        add_uses(cursor, {})


@pytest.fixture
def used(pair):
    add(
        (pair[0], TODAY, "flash", 200, [5, 50, 500]),
        (pair[0], TODAY, "pro", 200, [2, 20, 200]),
        (pair[0], TODAY, "flash", 429, [3, 0, 0]),
        (pair[0], TODAY, "", 404, [1, 0, 0]),
        (pair[0], YESTERDAY, "flash", 200, [1, 1, 1]),
        (pair[0], YESTERDAY, "flash", 429, [2, 0, 0]),
        (pair[0], date(2026, 1, 1), "flash", 200, [100, 1, 1]),
    )
    return pair


def test_by_day_shows_every_day_and_every_credential(used, django_assert_num_queries):
    with django_assert_num_queries(1):
        found = usage.served_by_day(used, 3, now=NOW)
    assert [(entry.day, entry.use) for entry in found[used[0]]] == [
        (date(2026, 11, 18), NO_USE),
        (YESTERDAY, Use(1, 2, 1, 1)),
        (TODAY, Use(7, 4, 70, 700)),
    ]
    assert [entry.use for entry in found[used[1]]] == [NO_USE] * 3


def test_by_model_begins_with_the_most_served(used, django_assert_num_queries):
    with django_assert_num_queries(1):
        found = usage.served_by_model(used, 2, now=NOW)
    assert list(found[used[0]].items()) == [
        ("flash", Use(6, 5, 51, 501)),
        ("pro", Use(2, 0, 20, 200)),
        ("", Use(0, 1, 0, 0)),
    ]
    assert found[used[1]] == {}


def test_today_is_the_upstreams(used, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert usage.today(used, now=NOW) == {used[0]: Use(7, 4, 70, 700), used[1]: NO_USE}
    assert usage.today(used, now=NOW + 3600)[used[0]] == NO_USE


def test_totals_are_over_all_that_is_kept(used, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert usage.totals(used)[used[0]].served == 108


def test_errors_by_status_begin_with_the_most_frequent(used, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert list(usage.errors_by_status(used[0], now=NOW).items()) == [(429, 5), (404, 1)]
    with django_assert_num_queries(1):
        assert usage.errors_by_statuses(used, 1, now=NOW) == {
            used[0]: {429: 3, 404: 1},
            used[1]: {},
        }
