"""Pivots and charts tell what the log holds, in few queries."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Count, Sum

from accounts.models import ApiKey, Group, User
from apiproxy.models import RequestLog, UsageMark
from apiproxy.selectors import usage
from apiproxy.selectors.usage import Filters, pivot, series, usage_of_key
from apiproxy.services.rollup import move_mark, roll_up
from tests import usage_rows

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
SINCE = NOW - timedelta(days=6)
DAY = timedelta(days=1)
COLUMNS = {"key": "key_id", "user": "owner_id", "group": "group_id", "credential": "credential_id"}


@pytest.fixture
def month(django_db_blocker):
    usage_rows.fill(2500, until=NOW, days=6)
    roll_up(now=NOW)


def log(**filters):
    asked = {COLUMNS.get(axis, axis): value for axis, value in filters.items()}
    return RequestLog.objects.filter(**asked)


def ask(by, since=SINCE, until=NOW, **options):
    filters = {
        name: str(options.pop(name)) for name in list(options) if name in Filters.__struct_fields__
    }
    return pivot(by, Filters(**filters), since, until, now=NOW, **options)


def expected(by, rows):
    column = COLUMNS.get(by, by)
    rows = rows.exclude(**{f"{column}__isnull": True}).exclude(model="" if by == "model" else "-")
    counted = rows.values(column).annotate(n=Count("pk"), cost=Sum("cost_micros")).order_by()
    return {str(row[column]): (row["n"], row["cost"]) for row in counted}


def told(found):
    return {line.subject: (line.use.requests, line.use.cost_micros) for line in found.lines}


@pytest.mark.parametrize("by", usage.AXES)
def test_every_axis_tells_what_the_log_holds(month, by):
    found = ask(by, limit=10_000)
    assert told(found) == expected(by, RequestLog.objects.all())
    assert found.count == len(found.lines)
    order = [line.use.requests for line in found.lines]
    assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("by", usage.AXES)
@pytest.mark.parametrize("axis", usage.AXES)
def test_every_axis_with_every_filter(month, by, axis):
    column = COLUMNS.get(axis, axis)
    common = RequestLog.objects.exclude(**{f"{column}__isnull": True}).exclude(model="")
    [value] = Counter(common.values_list(column, flat=True)).most_common(1)[0][:1]
    if (by, axis) in {("key", "user"), ("key", "group"), ("user", "group")}:
        return  # as they belong now: below
    found = ask(by, limit=10_000, **{axis: value})
    assert told(found) == expected(by, log(**{axis: value}))
    assert told(ask(by, **{axis: 999_999_999 if axis in COLUMNS else "none"})) == {}


def test_keys_of_a_person_and_of_a_group_are_those_they_have_now(month):
    group = Group.objects.create(name="g")
    user = User.objects.create(pk=1001, username="u", group=group)
    from quotas.services import open_balance

    [first, second] = [
        pk
        for pk, _ in Counter(
            RequestLog.objects.exclude(key_id=None).values_list("key_id", flat=True)
        ).most_common(2)
    ]
    for pk, owner, of in ((first, user, None), (second, None, group)):
        balance = open_balance(total_micros=1)
        ApiKey.objects.create(
            pk=pk, public_id=f"p{pk}", digest=f"d{pk}", owner=owner, group=of, balance=balance
        )
    assert set(told(ask("key", user=1001))) == {str(first)}
    assert set(told(ask("key", group=group.pk))) == {str(first), str(second)}
    User.objects.create(pk=7, username="seven", group=group)
    members = told(ask("user", group=group.pk))
    assert members == {
        pk: sums
        for pk, sums in expected("user", RequestLog.objects.all()).items()
        if pk in ("7", "1001")
    }


@pytest.mark.parametrize("sort", usage.SORTS)
def test_pages_follow_one_order(month, sort):
    pages = [ask("key", sort=sort, limit=70, offset=offset) for offset in range(0, 10_000, 70)]
    lines = [line for page in pages for line in page.lines]
    assert len({line.subject for line in lines}) == len(lines) == pages[0].count > 500
    ranks = [
        sum(sign * line.use.counts[name] for sign, name in usage.SORTS[sort]) for line in lines
    ]
    assert ranks == sorted(ranks, reverse=True)


def test_a_span_cuts_at_the_hour(month):
    since, until = NOW - timedelta(hours=30), NOW - timedelta(hours=3)
    found = ask("dialect", since=since, until=until)
    floor, ceiling = since.replace(minute=0), until.replace(minute=0) + timedelta(hours=1)
    rows = RequestLog.objects.filter(at__gte=floor, at__lt=ceiling)
    assert (found.since, found.until) == (floor, ceiling)
    assert told(found) == expected("dialect", rows)
    by_credential = ask("credential", since=since, until=until, dialect="gemini", limit=5000)
    assert told(by_credential) == expected("credential", rows.filter(dialect="gemini"))


def test_what_would_have_to_be_counted_for_too_long_is_refused(month, monkeypatch):
    monkeypatch.setattr(usage, "MOST_ROWS", 100)
    with pytest.raises(ValueError, match="one by one"):
        ask("key", dialect="gemini")
    # The fewer of the two decide.
    some = RequestLog.objects.filter(dialect="gemini").exclude(credential_id=None).first()
    assert ask("key", dialect="gemini", credential=some.credential_id).count == 1


def test_what_is_counted_from_the_log_begins_where_the_log_does(month):
    kept = (NOW - 2 * DAY).replace(hour=0, minute=0)
    RequestLog.objects.filter(at__lt=kept).delete()
    move_mark(UsageMark.LOG, kept, NOW)
    found = ask("credential", dialect="gemini", limit=5000)
    assert found.since == kept
    assert told(found) == expected("credential", log(dialect="gemini"))
    # None of them is left, and the sums of these days still know of them.
    with pytest.raises(ValueError, match="kept since 2026-11-18"):
        ask("credential", dialect="gemini", until=kept - DAY)
    # What the sums tell goes back further.
    assert ask("dialect", dialect="gemini").since < kept


def test_percentiles_are_near_those_of_the_log(month):
    durations = sorted(log(dialect="gemini").values_list("duration_ms", flat=True))
    [line] = ask("dialect", dialect="gemini").lines
    exact = durations[len(durations) // 2]
    assert abs(line.use.duration_ms["p50"] - exact) < 0.06 * exact
    assert line.use.first_byte_ms["p99"] < line.use.duration_ms["p99"]


@pytest.mark.parametrize("filters", [{}, {"key": 1}, {"model": usage_rows.model_name(0)}])
def test_a_chart_of_days_has_every_day(month, filters):
    points = series(
        Filters(**{k: str(v) for k, v in filters.items()}), SINCE, NOW, step="day", now=NOW
    )
    assert [point.start for point in points] == [
        SINCE.replace(hour=0, minute=0) + n * DAY for n in range(7)
    ]
    for point in points:
        rows = log(**filters).filter(at__gte=point.start, at__lt=point.start + DAY)
        assert point.use.requests == rows.count()


def test_a_chart_of_hours_has_every_hour(month):
    since = NOW - timedelta(hours=24)
    points = series(Filters(dialect="gemini"), since, NOW, step="hour", now=NOW)
    assert len(points) == 25
    rows = log(dialect="gemini").filter(at__gte=since.replace(minute=0))
    assert sum(point.use.requests for point in points) == rows.count()


def test_a_chart_by_model_adds_up_to_the_whole(month):
    points = series(Filters(), SINCE, NOW, step="day", split=True, now=NOW)
    assert (
        sum(point.use.requests for point in points) == RequestLog.objects.exclude(model="").count()
    )
    assert len({point.model for point in points}) > 20


@pytest.mark.parametrize(
    ("filters", "step", "words"),
    [
        (Filters(key="1", user="2"), "day", "one of"),
        (Filters(), "hour", "31 days"),
    ],
)
def test_charts_that_cannot_be_drawn_are_refused_in_words(filters, step, words):
    with pytest.raises(ValueError, match=words):
        series(filters, NOW - timedelta(days=40), NOW, step=step, now=NOW)


def test_usage_of_a_key_by_model_and_day(month):
    found = usage_of_key(1, SINCE, NOW, now=NOW)
    rows = log(key=1)
    assert found.total.requests == rows.count() > 100
    assert {name: use.requests for name, use in found.by_model.items()} == {
        name: n for name, (n, _) in expected("model", rows).items()
    }
    requests = [use.requests for use in found.by_model.values()]
    assert requests == sorted(requests, reverse=True)
    assert [day for day, _ in found.by_day] == [
        SINCE.replace(hour=0, minute=0) + n * DAY for n in range(7)
    ]
    assert (
        sum(use.requests for _, models in found.by_day for use in models.values()) == rows.count()
    )
    assert usage_of_key(999, SINCE, NOW, now=NOW).total.requests == 0


def test_queries_do_not_grow_with_what_there_is(month, django_assert_num_queries):
    with django_assert_num_queries(2):  # how far the days are, the sums
        usage_of_key(1, SINCE, NOW, now=NOW)
    with django_assert_num_queries(2):
        series(Filters(), SINCE, NOW, step="day", split=True, now=NOW)
    with django_assert_num_queries(1):
        series(Filters(), NOW - DAY, NOW, step="hour", now=NOW)
    with django_assert_num_queries(2):
        ask("model")
    for by in ("key", "user", "credential", "group", "dialect"):
        with django_assert_num_queries(3):  # and the order
            ask(by)
    # Where the log begins, how many, of how many, the numbers that bound the log.
    with django_assert_num_queries(7):
        ask("key", dialect="gemini")
