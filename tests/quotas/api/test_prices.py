"""/api/prices and /api/multipliers as an operator's script uses them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.lib.audit import AuditEntry
from quotas.models import Multiplier, Price

pytestmark = pytest.mark.django_db
JSON = {"content_type": "application/json"}
PRICES, MULTIPLIERS = "/api/prices", "/api/multipliers"


@pytest.fixture
def operator(client, alice):
    Price.objects.all().delete()
    Multiplier.objects.all().delete()
    client.force_login(alice)
    return client


def last_audit():
    return AuditEntry.objects.order_by("-pk").first()


def patterns(answer):
    return [row["pattern"] for row in answer.json()["results"]]


def test_a_price_is_set_followed_and_ended(operator):
    first = operator.post(PRICES, {"pattern": "m*", "per_call": "2.5"}, **JSON)
    assert first.status_code == 201, first.content
    told = first.json()
    assert (told["per_call"], told["state"], told["tariff"]) == ("2.5", "current", "")
    assert Price.objects.get().per_call_micros == 2_500_000

    second = operator.post(
        PRICES, {"pattern": "m*", "input_per_million": 3, "output_per_million": "0.000001"}, **JSON
    ).json()
    assert (second["cached_per_million"], second["thinking_per_million"]) == ("3", "0.000001")
    entry = last_audit()
    assert (entry.action, entry.subject, entry.actor) == ("prices.set", "price of m*", "alice")
    assert entry.before["per_call"] == "2.5"
    assert entry.after["per_call"] == "0"
    assert entry.after["input_per_million"] == "3"
    assert operator.get(f"{PRICES}/{told['id']}").json()["state"] == "followed"
    [current] = operator.get(PRICES).json()["results"]
    assert current["id"] == second["id"]
    history = operator.get(PRICES, {"state": "all", "pattern": "m*"}).json()["results"]
    assert [one["id"] for one in history] == [second["id"], told["id"]]

    url = f"{PRICES}/{second['id']}/end"
    ended = operator.post(url, {}, **JSON)
    assert (ended.status_code, ended.json()["state"]) == (200, "ended")
    assert last_audit().action == "prices.end"
    assert last_audit().after["valid_until"]
    assert operator.get(PRICES).json()["results"] == []
    again = operator.post(url, {}, **JSON)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_another_moment_can_be_asked(operator):
    now = timezone.now()
    Price.objects.create(pattern="old", valid_from=now - timedelta(days=9), valid_until=now)
    operator.post(PRICES, {"pattern": "now"}, **JSON)
    later = (now + timedelta(days=1)).isoformat()
    operator.post(PRICES, {"pattern": "later", "valid_from": later}, **JSON)
    assert patterns(operator.get(PRICES)) == ["now"]
    before = (now - timedelta(days=1)).isoformat()
    assert patterns(operator.get(PRICES, {"at": before})) == ["old"]
    assert patterns(operator.get(PRICES, {"state": "upcoming"})) == ["later"]
    after = (now + timedelta(days=2)).isoformat()
    assert patterns(operator.get(PRICES, {"at": after})) == ["later", "now"]


def test_lists_are_filtered_by_tariff(operator):
    operator.post(PRICES, {"pattern": "a"}, **JSON)
    operator.post(PRICES, {"pattern": "b", "tariff": "friends"}, **JSON)
    assert patterns(operator.get(PRICES, {"tariff": "friends"})) == ["b"]
    assert patterns(operator.get(PRICES, {"everybody": "true"})) == ["a"]
    assert patterns(operator.get(PRICES, {"everybody": "false"})) == ["b"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"per_call": "-1"},
        {"per_call": "NaN"},
        {"per_call": "Infinity"},
        {"per_call": "0.0000001"},
        {"per_call": 10**30},
        {"per_call": True},
        {"per_call": None},
        {"pattern": ""},
        {"pattern": "x" * 201},
        {"pattern": "a\0b"},
        {"tariff": "x" * 61},
        {"valid_from": "2020-01-01T00:00:00Z"},
        {"valid_from": "soon"},
        {"valid_until": "2020-01-01T00:00:00Z"},
        {"pattern": "*", "valid_until": "2999-01-01T00:00:00Z"},
    ],
)
def test_what_is_no_price_is_refused(operator, wrong):
    answer = operator.post(PRICES, {"pattern": "m", **wrong}, **JSON)
    assert answer.status_code == 400, answer.content
    assert Price.objects.count() == 0
    assert not AuditEntry.objects.filter(action="prices.set").exists()


def test_a_wrong_question_is_said(operator):
    assert operator.get(PRICES, {"at": "yesterday"}).status_code == 400
    assert operator.get(PRICES, {"state": "gone"}).status_code == 400
    assert operator.get(f"{PRICES}/{10**17}").status_code == 404


def test_a_multiplier_is_set_and_ended(operator):
    made = operator.post(MULTIPLIERS, {"feature": "search", "factor": "1.50"}, **JSON)
    assert made.status_code == 201, made.content
    told = made.json()
    assert (told["factor"], told["words"], told["state"]) == ("1.5", "search the web", "current")
    operator.post(MULTIPLIERS, {"feature": "search", "factor": 2}, **JSON)
    entry = last_audit()
    assert (entry.action, entry.before["factor"], entry.after["factor"]) == (
        "multipliers.set",
        "1.5",
        "2",
    )
    [current] = operator.get(MULTIPLIERS).json()["results"]
    assert current["factor"] == "2"
    assert len(operator.get(MULTIPLIERS, {"state": "all"}).json()["results"]) == 2
    ended = operator.post(f"{MULTIPLIERS}/{current['id']}/end", {}, **JSON)
    assert ended.json()["state"] == "ended"
    assert operator.get(MULTIPLIERS).json()["results"] == []


@pytest.mark.parametrize("factor", ["-1", "NaN", "1.2345", "1e9", ""])
def test_what_is_no_factor_is_refused(operator, factor):
    answer = operator.post(MULTIPLIERS, {"feature": "search", "factor": factor}, **JSON)
    assert answer.status_code == 400


def test_a_feature_that_does_not_exist_is_refused(operator):
    assert operator.post(MULTIPLIERS, {"feature": "serach", "factor": 1}, **JSON).status_code == 400


@pytest.mark.parametrize("state", ["current", "all"])
def test_a_list_costs_as_many_queries_as_one_row(operator, django_assert_max_num_queries, state):
    for number in range(20):
        operator.post(PRICES, {"pattern": f"m{number % 15}"}, **JSON)
        operator.post(MULTIPLIERS, {"feature": "search", "factor": number}, **JSON)
    for url in (PRICES, MULTIPLIERS):
        with django_assert_max_num_queries(6):
            rows = operator.get(url, {"state": state}).json()["results"]
        states = sorted(one["state"] for one in rows)
        assert states.count("current") == (15 if url == PRICES else 1)
        assert states.count("followed") == len(rows) - states.count("current")
