"""Which tables tell of a span."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from apiproxy.models import UsageDay, UsageHour, UsageMark
from apiproxy.selectors.windows import window

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
HOURS, DAYS = UsageHour._meta.db_table, UsageDay._meta.db_table


def at(day, hour=0, minute=0, month=11):
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def told(since, until, axis="site", **options):
    span = window(since, until, axis, now=NOW, **options)
    parts = [("h" if p.table == HOURS else "d", p.since, p.until) for p in span.parts]
    assert sum((end - start for _, start, end in parts), timedelta()) == span.until - span.since
    return sorted(parts, key=lambda part: part[1])


@pytest.fixture
def days_done():
    UsageMark.objects.create(name=UsageMark.DAYS, until=at(20), updated_at=NOW)


def test_days_in_the_middle_and_hours_at_the_ends(days_done):
    assert told(at(10, 7, 30), at(20, 9, 1)) == [
        ("h", at(10, 7), at(11)),
        ("d", at(11), at(20)),
        ("h", at(20), at(20, 10)),
    ]


def test_whole_days_are_days_alone(days_done):
    assert told(at(10), at(20)) == [("d", at(10), at(20))]


def test_a_day_that_has_no_row_yet_is_told_by_its_hours():
    assert told(at(10), at(20)) == [("h", at(10), at(20))]
    UsageMark.objects.create(name=UsageMark.DAYS, until=at(19), updated_at=NOW)
    assert told(at(10), at(20)) == [("d", at(10), at(19)), ("h", at(19), at(20))]


def test_a_span_within_a_day_is_hours(days_done):
    assert told(at(20, 3), at(20, 9)) == [("h", at(20, 3), at(20, 9))]
    assert told(at(19, 3), at(19, 3, 1)) == [("h", at(19, 3), at(19, 4))]


def test_where_single_hours_are_gone_the_span_is_whole_days(days_done, settings):
    settings.USAGE_DETAIL_DAYS = 8
    assert told(at(10, 7), at(11, 2), "key") == [("d", at(10), at(12))]
    assert told(at(10, 7), at(20, 2), "key") == [("d", at(10), at(20)), ("h", at(20), at(20, 2))]
    assert told(at(12, 7), at(20), "key") == [("h", at(12, 7), at(13)), ("d", at(13), at(20))]
    assert told(at(10, 7), at(11, 2), "group") == [("h", at(10, 7), at(11, 2))]
    settings.USAGE_HOUR_RETENTION_DAYS = 3
    assert told(at(10, 7), at(11, 2), "group") == [("d", at(10), at(12))]


def test_charts_of_hours_read_hours(days_done):
    assert told(at(13), at(20), hours_only=True) == [("h", at(13), at(20))]
    assert told(at(13), at(20), "key", hours_only=True) == [("h", at(13), at(20))]
    # Zeros would be a lie where there was something once.
    with pytest.raises(ValueError, match="since 2026-11-12"):
        window(at(11), at(20), "key", hours_only=True, now=NOW)


def test_the_future_is_left_out(days_done):
    assert told(at(20, 3), at(1, month=12)) == [("h", at(20, 3), at(20, 11))]


@pytest.mark.parametrize(
    ("since", "until"),
    [(at(3), at(3)), (at(4), at(3)), (datetime(2020, 1, 1, tzinfo=UTC), at(3))],
)
def test_spans_that_are_none_are_refused_in_words(since, until):
    with pytest.raises(ValueError, match=r"empty|400 days"):
        window(since, until, "site", now=NOW)


@pytest.mark.parametrize("axis", ["site", "key"])
def test_the_ends_of_time_are_no_crash(axis, days_done):
    first = datetime(1, 1, 1, tzinfo=UTC)
    last = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    for since, until in ((first, first + timedelta(days=3)), (last - timedelta(days=3), last)):
        window(since, until, axis, now=NOW)
