"""What past calls would have cost at other prices, against what each call is really charged."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from math import inf
from random import Random

import pytest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts.models import Group
from accounts.services import issue_key
from apiproxy.models import RequestLog, UsageMark
from apiproxy.services.rollup import move_mark
from apiproxy.what_if import what_if
from quotas.models import Multiplier, Price
from quotas.pricing import Dated, PriceBook, cost
from quotas.pricing import Price as Rates
from quotas.selectors import price_book, price_list

pytestmark = pytest.mark.django_db
JSON = {"content_type": "application/json"}
CREDIT = 1_000_000


@pytest.fixture
def operator(settings):
    settings.PANEL_PASSWORD = "panel"
    return {"Authorization": "Bearer panel"}


@pytest.fixture
def log(db):
    """log(**fields): one answered call of an hour ago."""
    number = iter(range(1_000_000))
    at = timezone.now() - timedelta(hours=1)

    def log(**fields):
        given = {"key_id": 1, "model": "gemini-2.5-pro", "cost_micros": 10 * CREDIT, "status": 200}
        rest = {"dialect": "openai-chat", "action": "generate", "stream": False, "duration_ms": 9}
        return RequestLog.objects.create(
            request_id=f"req_{next(number)}", **{"at": at, **rest, **given, **fields}
        )

    return log


def ask(changes=(), **options):
    now = timezone.now()
    return what_if(
        since=now - timedelta(days=1),
        until=now,
        book=price_book(now),
        now=now.timestamp(),
        changes=changes,
        **options,
    )


def price(pattern, order=0, tariff="", **rates):
    return Dated(-inf, inf, order, tariff=tariff, price=Rates(pattern, **rates))


def test_calls_are_priced_anew(log):
    for _ in range(3):
        log()
    log(model="gemini-2.5-flash", cost_micros=2 * CREDIT)
    answer = ask([price("*pro*", per_call_micros=15 * CREDIT)])
    assert (answer.total.requests, answer.total.was_micros) == (4, 32 * CREDIT)
    assert answer.total.would_be_micros == 47 * CREDIT
    [pro, flash] = answer.by_model
    assert (pro.name, pro.sums.was_micros, pro.sums.would_be_micros) == (
        "gemini-2.5-pro",
        30 * CREDIT,
        45 * CREDIT,
    )
    assert flash.sums.would_be_micros == flash.sums.was_micros == 2 * CREDIT


def test_without_changes_it_is_the_price_of_today(log):
    log(cost_micros=CREDIT)
    assert ask().total.would_be_micros == 10 * CREDIT


def test_what_cost_nothing_costs_nothing_at_any_price(log):
    log(status=503, answers=0, cost_micros=0)
    log(status=429, answers=1, cost_micros=0, key_id=None)
    log(action="count_tokens", cost_micros=0)
    log(key_id=None, cost_micros=0)
    answer = ask([price("*pro*", per_call_micros=15 * CREDIT, input_micros_per_million=CREDIT)])
    assert (answer.total.requests, answer.total.would_be_micros, answer.uncharged) == (0, 0, 4)


def test_a_broken_answer_costs_its_tokens_alone(log):
    log(status=502, broken=True, output_tokens=1000, cost_micros=0)
    log(status=499, output_tokens=1000)
    change = price("*pro*", per_call_micros=CREDIT, output_micros_per_million=CREDIT)
    assert ask([change]).total.would_be_micros == 1000 + CREDIT + 1000


def test_features_and_tariffs_are_those_of_the_call(log):
    Multiplier.objects.all().delete()
    log(features="search,image_4k")
    log(tariff="friends")
    changes = [
        Dated(-inf, inf, 0, feature="search", factor=Fraction("1.5")),
        Dated(-inf, inf, 1, feature="image_4k", factor=Fraction(2)),
        price("*", tariff="friends", per_call_micros=CREDIT),
    ]
    assert ask(changes).total.would_be_micros == 30 * CREDIT + CREDIT
    assert ask(changes, tariff="friends").total.would_be_micros == 3 * CREDIT + CREDIT
    assert ask(changes, tariff="").total.would_be_micros == 30 * CREDIT + 10 * CREDIT


def test_a_group_pays_its_factor(log):
    half = Group.objects.create(name="half", price_factor="0.5")
    log(group_id=half.pk, cost_micros=5 * CREDIT)
    log(group_id=half.pk + 1)
    answer = ask()
    assert (answer.total.was_micros, answer.total.would_be_micros) == (15 * CREDIT, 15 * CREDIT)


def test_what_no_price_fits_is_counted(log):
    log()
    log(model="sandbox-echo", cost_micros=0)
    now = timezone.now()
    span = {"since": now - timedelta(days=1), "until": now, "now": now.timestamp()}
    book = PriceBook([price("*pro*", per_call_micros=1)])
    answer = what_if(book=book, **span)
    assert (answer.unpriced, answer.total.requests, answer.total.would_be_micros) == (1, 2, 1)


def test_only_the_time_asked_about(log):
    log(at=timezone.now() - timedelta(days=2))
    log(at=timezone.now() + timedelta(hours=1))
    assert ask().total.requests == 0


def test_the_keys_with_the_greatest_difference_come_first(log):
    row, _ = issue_key(quota_micros=CREDIT, description="Alice")
    log(key_id=row.pk, cost_micros=CREDIT)
    for key_id in range(1000, 1030):
        log(key_id=key_id)
    answer = ask()
    assert len(answer.by_key) == 20
    assert (answer.by_key[0].id, answer.by_key[0].sums.would_be_micros) == (row.pk, 10 * CREDIT)
    assert "Alice" in answer.by_key[0].name
    assert "sk-" in answer.by_key[0].name


def test_it_is_one_query_of_the_log(log, django_assert_num_queries):
    log()
    now = timezone.now()
    book = price_book(now)
    with django_assert_num_queries(3):  # and the groups, and the names of keys
        what_if(since=now - timedelta(days=1), until=now, book=book, now=now.timestamp())


def test_it_is_exact_but_for_rounding(log):
    """Against every call priced by itself."""
    draw = Random(3)
    Price.objects.create(
        pattern="*flash*",
        per_call_micros=7,
        input_micros_per_million=1_234_567,
        cached_micros_per_million=333_333,
        output_micros_per_million=9_876_543,
        thinking_micros_per_million=5,
    )
    prices, exact = price_list(), 0
    for _ in range(200):
        tokens = {
            "input_tokens": draw.randrange(9000),
            "cached_tokens": draw.randrange(9000),
            "output_tokens": draw.randrange(2000),
            "thinking_tokens": draw.randrange(2000),
        }
        model = draw.choice(("a-flash", "b-flash"))
        features = draw.choice(("", "anti_truncation"))
        found = prices.of(model, tuple(filter(None, [features])))
        exact += cost(found, calls=1, **tokens)
        log(model=model, features=features, key_id=draw.randrange(5), **tokens)
    answer = ask()
    assert 0 <= exact - answer.total.would_be_micros <= 200


def test_the_api_says_it_in_credits(client, operator, log):
    log()
    body = {
        "prices": [{"pattern": "*pro*", "per_call": "12.5"}],
        "multipliers": [{"feature": "search", "factor": "2"}],
    }
    answer = client.post("/api/prices/what-if", body, headers=operator, **JSON)
    assert answer.status_code == 200, answer.content
    told = answer.json()
    sums = {"requests": 1, "actual": "10", "would_be": "12.5", "difference": "2.5"}
    assert {name: told[name] for name in sums} == sums
    assert told["by_model"] == [{"model": "gemini-2.5-pro", **sums}]
    assert told["by_key"] == [{"key_id": 1, "key": "key 1", **sums}]
    assert (told["uncharged_requests"], told["unpriced_requests"]) == (0, 0)
    assert Price.objects.filter(per_call_micros=12_500_000).count() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"since": "2020-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"until": "0001-01-01T00:00:00Z"},
        {"prices": [{"pattern": "m", "per_call": "-1"}]},
        {"prices": [{}]},
        {"multipliers": [{"feature": "serach", "factor": 1}]},
        {"multipliers": [{"feature": "search", "factor": "NaN"}]},
        {"prices": [{"pattern": "m"}] * 201},
    ],
)
def test_what_makes_no_sense_is_refused(client, operator, wrong):
    answer = client.post("/api/prices/what-if", wrong, headers=operator, **JSON)
    assert answer.status_code == 400, answer.content


def test_it_tells_of_no_more_than_is_still_in_the_log(client, operator, log):
    log()
    now = timezone.now()
    kept = now - timedelta(days=2)
    move_mark(UsageMark.LOG, kept, now)
    body = {"since": (now - timedelta(days=30)).isoformat()}
    told = client.post("/api/prices/what-if", body, headers=operator, **JSON).json()
    assert (parse_datetime(told["since"]), told["requests"]) == (kept, 1)
    body["until"] = (now - timedelta(days=3)).isoformat()
    refused = client.post("/api/prices/what-if", body, headers=operator, **JSON)
    assert refused.status_code == 400
    assert "are kept since" in refused.json()["detail"]


def test_strangers_may_not_ask(client):
    assert client.post("/api/prices/what-if", {}, **JSON).status_code in (401, 403)
