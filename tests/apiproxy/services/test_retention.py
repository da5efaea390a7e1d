"""Old rows go, in short steps, and never before they are added up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Sum

from apiproxy.models import RequestLog, UsageDay, UsageHour, UsageMark
from apiproxy.services import retention
from apiproxy.services.retention import delete_old
from apiproxy.services.rollup import roll_up
from tests import usage_rows

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def delete(pauses):
    def delete(**options):
        return delete_old(**{"now": NOW, "pause": pauses.append, **options})

    return delete


def totals(axis="site"):
    days = UsageDay.objects.filter(axis=axis, model="").aggregate(
        Sum("requests"), Sum("cost_micros")
    )
    return days["requests__sum"], days["cost_micros__sum"]


def test_requests_go_by_whole_days_and_their_sums_stay(delete, settings):
    settings.REQUEST_RETENTION_DAYS = 10
    usage_rows.fill(1500, until=NOW, days=15)
    roll_up(now=NOW)
    before = totals()
    first_kept = datetime(2026, 11, 10, tzinfo=UTC)
    old = RequestLog.objects.filter(at__lt=first_kept).count()
    assert delete().requests == old > 300
    assert not RequestLog.objects.filter(at__lt=first_kept).exists()
    roll_up(now=NOW + timedelta(minutes=1), again=timedelta(hours=26))
    assert totals() == before
    assert delete().requests == 0


def test_nothing_goes_that_is_not_added_up(delete, settings):
    settings.REQUEST_RETENTION_DAYS = 1
    usage_rows.fill(300, until=NOW, days=15)
    assert delete().requests == 0
    # Only the first days are: the rounds are short.
    while not UsageMark.objects.filter(name=UsageMark.DAYS, until__gte=NOW - 10 * DAY).exists():
        roll_up(now=NOW, budget_s=0)
    until = UsageMark.objects.get(name=UsageMark.DAYS).until
    delete()
    left = RequestLog.objects.order_by("at").first().at
    assert until - 2 * DAY - timedelta(hours=2) <= left
    assert RequestLog.objects.filter(at__gte=until - timedelta(hours=26)).count() > 150
    while roll_up(now=NOW, budget_s=0).behind_hours:
        pass
    hours = UsageHour.objects.filter(axis="site", model="").aggregate(Sum("requests"))
    assert hours["requests__sum"] == 300


def test_zero_days_are_for_ever(delete, settings):
    settings.REQUEST_RETENTION_DAYS = settings.USAGE_HOUR_RETENTION_DAYS = 0
    usage_rows.fill(100, until=NOW, days=100)
    roll_up(now=NOW)
    assert delete().requests == 0
    assert UsageHour.objects.filter(axis="site", start__lt=NOW - 90 * DAY).exists()


def test_hours_of_single_subjects_go_first(delete, settings):
    settings.REQUEST_RETENTION_DAYS = 0
    settings.USAGE_DETAIL_DAYS, settings.USAGE_HOUR_RETENTION_DAYS = 4, 9
    usage_rows.fill(600, until=NOW, days=12)
    roll_up(now=NOW)
    before = totals("key")
    assert delete().hours
    midnight = NOW.replace(hour=0, minute=0)
    for axes, days in ((("key", "user", "credential"), 4), (("site", "group", "dialect"), 9)):
        left = UsageHour.objects.filter(axis__in=axes)
        assert not left.filter(start__lt=midnight - days * DAY).exists()
        assert left.filter(start__lt=midnight - (days - 1) * DAY).exists()
    assert totals("key") == before


def test_it_pauses_between_short_batches(delete, pauses, settings, monkeypatch):
    monkeypatch.setattr(retention, "ROWS_A_BATCH_SQLITE", 100)
    monkeypatch.setattr(retention, "ROWS_A_BATCH", 100)
    settings.REQUEST_RETENTION_DAYS, settings.USAGE_DETAIL_DAYS = 5, 3000
    usage_rows.fill(1000, until=NOW, days=10)
    roll_up(now=NOW)
    deleted = delete()
    assert 400 < deleted.requests < 600
    assert len(pauses) == deleted.requests // 100


def test_a_round_ends_in_time_and_the_next_goes_on(delete, settings, monkeypatch):
    monkeypatch.setattr(retention, "ROWS_A_BATCH_SQLITE", 10)
    monkeypatch.setattr(retention, "ROWS_A_BATCH", 10)
    settings.REQUEST_RETENTION_DAYS, settings.USAGE_DETAIL_DAYS = 5, 3000
    usage_rows.fill(100, until=NOW, days=10)
    roll_up(now=NOW)
    assert delete(budget_s=-1).more
    total = 0
    while (deleted := delete()).requests:
        total += deleted.requests
    assert 30 < total < 70
