"""The request log -> hours -> days: complete, and the same however often and by whom."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Sum

from apiproxy import sums
from apiproxy.models import RequestLog, UsageDay, UsageHour, UsageMark
from apiproxy.services import rollup
from apiproxy.services.rollup import HOUR, roll_up
from quotas import ledger, services
from quotas.ledger import Close, Reserve
from quotas.models import Entry
from quotas.terms import Account
from tests import usage_rows

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
DAY = timedelta(days=1)


def call(at, number=[0], **fields):  # noqa: B006 - counts
    number[0] += 1
    return RequestLog.objects.create(
        **{
            "request_id": f"req_{number[0]}",
            "at": at,
            "key_id": 1,
            "dialect": "gemini",
            "action": "generate",
            "model": "m",
            "stream": False,
            "status": 200,
            "cost_micros": 3,
            "duration_ms": 100,
            **fields,
        }
    )


def site(table=UsageHour):
    return dict(
        table.objects.filter(axis="site", model="").values_list("start", "requests").order_by()
    )


def everything(table):
    rows = table.objects.order_by("start", "axis", "subject", "model")
    return list(
        rows.values_list("start", "axis", "subject", "model", *sums.NAMES, *sums.HISTOGRAMS)
    )


def hour(at):
    return at.replace(minute=0, second=0, microsecond=0)


def test_the_site_counts_what_the_log_holds():
    usage_rows.fill(3000, until=NOW, days=2.5)
    roll_up(now=NOW)
    log = RequestLog.objects.aggregate(*map(Sum, ("cost_micros", "input_tokens", "output_tokens")))
    for axis, column in (("site", None), ("key", "key_id"), ("dialect", "dialect")):
        rows = UsageHour.objects.filter(axis=axis, model="")
        told = rows.aggregate(
            *map(Sum, ("requests", "cost_micros", "input_tokens", "output_tokens"))
        )
        assert told["cost_micros__sum"] == log["cost_micros__sum"]
        assert told["input_tokens__sum"] == log["input_tokens__sum"]
        expected = RequestLog.objects.exclude(
            **{f"{column}__isnull": True} if column else {"pk": 0}
        )
        assert told["requests__sum"] == expected.count()
    # Of the first day the end; today is in hours alone.
    assert len(site(UsageDay)) == 3
    for start, requests in site(UsageDay).items():
        assert requests == RequestLog.objects.filter(at__gte=start, at__lt=start + DAY).count()


def test_the_credits_are_those_of_the_ledger():
    balance = services.open_balance(total_micros=10_000)
    costs = [5, 0, 17, 400]
    for number, micros in enumerate(costs):
        request_id = f"req_l{number}"
        ledger.book([Reserve(request_id, (Account(balance.pk),), 500)], [], holder_id="h")
        ledger.book([], [Close(request_id, micros, "")], holder_id="h")
        call(NOW - timedelta(minutes=number), request_id=request_id, cost_micros=micros)
    roll_up(now=NOW)
    used = Entry.objects.filter(kind=Entry.Kind.SETTLE).aggregate(sum=Sum("amount_micros"))["sum"]
    told = UsageHour.objects.filter(axis="site", model="").aggregate(sum=Sum("cost_micros"))["sum"]
    assert told == used == sum(costs)


def test_done_again_nothing_changes():
    usage_rows.fill(400, until=NOW, days=1.5)
    roll_up(now=NOW)
    before = everything(UsageHour), everything(UsageDay)
    done = roll_up(now=NOW, again=rollup.LATE)
    assert done.cells == 0
    assert (everything(UsageHour), everything(UsageDay)) == before


def test_a_late_row_is_found_within_the_minute_or_the_day():
    call(NOW)
    call(NOW - 20 * HOUR)
    roll_up(now=NOW)
    call(NOW - timedelta(minutes=50))  # began in the hour before
    roll_up(now=NOW + timedelta(minutes=1))
    assert site()[hour(NOW - HOUR)] == 1
    late = call(NOW - 20 * HOUR, duration_ms=20 * 3_600_000)  # yesterday
    roll_up(now=NOW + timedelta(minutes=2))
    assert site()[hour(late.at)] == 1
    assert site(UsageDay)[NOW.replace(hour=0, minute=0) - DAY] == 1
    roll_up(now=NOW + timedelta(minutes=3), again=rollup.LATE)
    assert site()[hour(late.at)] == 2
    # The day was over and had its row.
    assert site(UsageDay)[NOW.replace(hour=0, minute=0) - DAY] == 2
    assert RequestLog.objects.count() == sum(site().values())


def test_what_a_pause_missed_is_made_up_for():
    call(NOW)
    roll_up(now=NOW)
    # Was running when the workers stopped, and ended later.
    call(NOW - 5 * HOUR)
    call(NOW + timedelta(minutes=10))
    call(NOW + 30 * HOUR)
    done = roll_up(now=NOW + 50 * HOUR)
    assert sum(site().values()) == 4
    assert done.hours >= 50
    assert sum(site(UsageDay).values()) == 4


def test_history_comes_in_rounds(monkeypatch):
    usage_rows.fill(300, until=NOW, days=4)
    rounds = []
    while not rounds or rounds[-1].behind_hours:
        rounds.append(roll_up(now=NOW, budget_s=0))
    assert len(rounds) > 20
    assert sum(site().values()) == 300
    left = [done.behind_hours for done in rounds]
    assert left == sorted(left, reverse=True)
    in_rounds = everything(UsageHour), everything(UsageDay)
    for table in (UsageHour, UsageDay, UsageMark):
        table.objects.all().delete()
    roll_up(now=NOW)
    assert (everything(UsageHour), everything(UsageDay)) == in_rounds


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", range(1, 40, 3))
def test_killed_anywhere_the_next_round_mends_it(after):
    usage_rows.fill(200, until=NOW, days=1.6)
    steps = Counter()

    def step():
        steps["all"] += 1
        if steps["all"] == after:
            raise Killed

    try:
        roll_up(now=NOW, step=step)
    except Killed:
        roll_up(now=NOW)
    mended = everything(UsageHour), everything(UsageDay)
    for table in (UsageHour, UsageDay, UsageMark):
        table.objects.all().delete()
    roll_up(now=NOW)
    assert (everything(UsageHour), everything(UsageDay)) == mended


def test_killed_between_two_batches_of_an_hour(monkeypatch):
    usage_rows.fill(300, until=NOW, days=0.05)
    whole, calls = rollup.batch, Counter()

    def dying():
        calls["all"] += 1
        if calls["all"] == 2:
            raise Killed
        return whole()

    monkeypatch.setattr(rollup, "batch", dying)
    with pytest.raises(Killed):
        roll_up(now=NOW)
    monkeypatch.setattr(rollup, "batch", whole)
    roll_up(now=NOW)
    assert sum(site().values()) == 300
    keys = UsageHour.objects.filter(axis="key", model="").aggregate(sum=Sum("requests"))["sum"]
    assert keys == RequestLog.objects.exclude(key_id=None).count()


@pytest.mark.parametrize("after", range(1, 7))
def test_killed_before_a_days_row_has_what_came_late_the_late_round_mends_it(monkeypatch, after):
    """The hours count it by then, so nothing in them changes any more."""
    monkeypatch.setattr(rollup, "_CELLS_A_BATCH", 4)
    yesterday = NOW - 12 * HOUR
    for key_id in (1, 2, 3):
        call(yesterday, key_id=key_id)
    roll_up(now=NOW)
    for key_id in (1, 2, 3):
        call(yesterday, key_id=key_id, duration_ms=10 * 3_600_000)
    whole, batches = rollup.batch, Counter()

    def dying():
        batches["all"] += 1
        if batches["all"] == after:
            raise Killed
        return whole()

    monkeypatch.setattr(rollup, "batch", dying)
    with pytest.raises(Killed):
        roll_up(now=NOW, again=rollup.LATE)
    monkeypatch.setattr(rollup, "batch", whole)
    roll_up(now=NOW, again=rollup.LATE)
    day = yesterday.replace(hour=0, minute=0)
    days = UsageDay.objects.filter(start=day).order_by("axis", "subject", "model")
    told = list(days.values_list("axis", "subject", "model", "requests", "duration_ms"))
    hours = rollup._folded(UsageHour.objects.all(), day)
    assert told == [(*cell, hours[cell][0], hours[cell][-2]) for cell in sorted(hours)]
    assert site(UsageDay)[day] == 6


def test_a_worker_that_read_earlier_overwrites_nothing():
    """It read one call, slept, and writes when another has counted two."""
    start = hour(NOW)
    call(NOW)
    earlier = sums.aggregate(RequestLog.objects.values_list(*sums.COLUMNS))
    call(NOW, cost_micros=9)
    roll_up(now=NOW)
    rollup._put(UsageHour, start, earlier)
    row = UsageHour.objects.get(axis="site", model="", start=start)
    assert (row.requests, row.cost_micros) == (2, 12)


def test_marks_only_go_forward():
    rollup.move_mark(UsageMark.HOURS, NOW, NOW)
    rollup.move_mark(UsageMark.HOURS, NOW - DAY, NOW - DAY)
    mark = UsageMark.objects.get()
    assert (mark.until, mark.updated_at) == (NOW, NOW)


def test_hours_whose_rows_are_gone_stay_as_they_were():
    call(NOW - 3 * HOUR)
    roll_up(now=NOW)
    RequestLog.objects.all().delete()
    call(NOW - 3 * HOUR, cost_micros=1)
    roll_up(now=NOW, again=rollup.LATE)
    assert UsageHour.objects.get(axis="site", model="", start=hour(NOW - 3 * HOUR)).cost_micros == 3


def test_work_that_took_long_rests_a_while(monkeypatch):
    call(NOW)
    ticks = iter(range(0, 1000, 4))
    monkeypatch.setattr("apiproxy.services.rollup.time.monotonic", lambda: next(ticks))
    roll_up(now=NOW, budget_s=100)
    call(NOW)
    assert roll_up(now=NOW + timedelta(seconds=60)).hours == 0
    assert roll_up(now=NOW + timedelta(minutes=20), budget_s=100).hours
    # A clock that was set back does not stop it for long.
    assert roll_up(now=NOW - 5 * HOUR, budget_s=100).hours


def test_an_empty_site_has_nothing_to_add_up():
    assert roll_up(now=NOW).cells == 0
    assert UsageHour.objects.count() == 0
    call(NOW)
    roll_up(now=NOW + timedelta(minutes=1))
    assert sum(site().values()) == 1


def test_names_that_sql_or_json_could_stumble_over():
    call(NOW, model="o'brien\"; DROP TABLE x; --", dialect="ge'mini")
    roll_up(now=NOW)
    assert UsageHour.objects.filter(axis="dialect", subject="ge'mini").count() == 2
