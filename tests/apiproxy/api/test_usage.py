"""/api/usage, /api/usage/series and one's own: who sees what, pages, words, CSV."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum

from tests.apiproxy.api.conftest import NOW

SPAN = f"since={NOW - timedelta(days=6):%Y-%m-%dT%H:%M:%SZ}&until={NOW:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture(autouse=True)
def _now(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


def table(answer):
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_by_model_for_the_last_thirty_days_unless_told_otherwise(signed_in, log):
    found = signed_in("alice").get("/api/usage").json()
    assert sum(line["requests"] for line in found["results"]) == log.exclude(model="").count()
    assert found["until"] == "2026-11-20T11:00:00Z"
    assert found["as_of"] == "2026-11-20T10:05:00Z"
    line = found["results"][0]
    assert line["label"] == line["subject"]
    of_model = log.filter(model=line["subject"])
    sums = of_model.aggregate(cost=Sum("cost_micros"), output=Sum("output_tokens"))
    assert Decimal(line["credits"]) * 10**6 == sums["cost"]
    assert line["tokens"]["output"] == sums["output"]
    assert line["requests"] == line["successes"] + sum(line["errors"].values())
    assert line["duration_ms"]["p50"] <= line["duration_ms"]["p99"]


def test_lines_are_named(signed_in, log, people):
    def first(by):
        return signed_in("alice").get(f"/api/usage?by={by}&{SPAN}").json()["results"][0]

    assert first("key")["label"] == str(people["key"])
    assert first("user")["label"] == "bob"
    assert first("group")["label"] == "friends"
    assert first("dialect")["label"] == "openai-chat"
    assert first("credential")["label"] == ""  # gone


def test_pages_lead_to_each_other(signed_in, log):
    client = signed_in("alice")
    first = client.get(f"/api/usage?by=credential&page_size=100&{SPAN}").json()
    assert (first["previous"], len(first["results"])) == (None, 100)
    second = client.get(first["next"]).json()
    assert "&page=" not in second["previous"]
    assert client.get(second["previous"]).json()["results"] == first["results"]
    last = client.get(f"/api/usage?by=credential&page_size=100&page=5000&{SPAN}").json()
    assert (last["results"], last["next"]) == ([], None)
    seen, url = [], f"/api/usage?by=credential&page_size=100&{SPAN}"
    while url:
        page = client.get(url).json()
        seen += [line["subject"] for line in page["results"]]
        url = page["next"]
    assert len(set(seen)) == len(seen) == first["count"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/usage?by=weather", "by"),
        ("/api/usage?since=2026-11-20T00:00:00Z&until=2026-11-19T00:00:00Z", "empty"),
        ("/api/usage?since=2020-01-01T00:00:00Z", "400 days"),
        ("/api/usage?until=0001-01-01T00:00:00Z", ""),
        ("/api/usage?page=0", "page"),
        ("/api/usage?key=x", "key"),
        ("/api/usage?key=99999999999999999999", "key"),
        ("/api/usage?page_size=1000", "page_size"),
        ("/api/usage/series?key=1&user=1", "one of"),
        ("/api/usage/series?step=hour&since=2026-01-01T00:00:00Z", "31 days"),
        ("/api/usage/series?step=hour&key=1&since=2026-11-01T00:00:00Z", "step=day"),
        ("/api/usage/series.csv?step=year", "step"),
        ("/api/usage.csv?since=2020-01-01T00:00:00Z", "400 days"),
    ],
)
def test_what_cannot_be_told_is_refused_in_words(signed_in, log, path, words):
    answer = signed_in("alice").get(path)
    assert answer.status_code == 400, answer.content
    assert words in answer.content.decode()


def test_a_chart_of_one_key(signed_in, log, people):
    path = f"/api/usage/series?key={people['key'].pk}&{SPAN}"
    points = signed_in("alice").get(path).json()["points"]
    assert len(points) == 7
    assert sum(one["requests"] for one in points) == log.filter(key_id=people["key"].pk).count()
    split = signed_in("alice").get(f"{path}&split=model").json()["points"]
    assert sum(one["requests"] for one in split) == log.filter(key_id=people["key"].pk).count()
    assert all(one["model"] for one in split)


def test_the_csv_has_every_line(signed_in, log):
    lines = table(signed_in("alice").get(f"/api/usage.csv?by=credential&{SPAN}"))
    asked = log.exclude(credential_id=None)
    assert len(lines) == asked.values("credential_id").distinct().count() > 200
    assert sum(int(line["requests"]) for line in lines) == asked.count()
    chart = table(signed_in("alice").get(f"/api/usage/series.csv?{SPAN}"))
    assert sum(int(line["requests"]) for line in chart) == log.count()
    charged = sum(Decimal(line["credits"]) for line in chart)
    assert charged * 10**6 == log.aggregate(sum=Sum("cost_micros"))["sum"]


def test_others_see_nothing_of_the_site(client, signed_in, log):
    for path in ("usage", "usage.csv", "usage/series", "usage/series.csv"):
        assert client.get(f"/api/{path}").status_code in (401, 403)
        assert client.get(f"/api/my/{path}").status_code in (401, 403)
        assert signed_in("bob").get(f"/api/{path}").status_code == 403
        client.logout()


def test_members_see_their_own_alone(signed_in, log, people):
    own = log.filter(owner_id=people["bob"].pk)
    client = signed_in("bob")
    by_model = client.get(f"/api/my/usage?{SPAN}").json()["results"]
    assert sum(line["requests"] for line in by_model) == own.count()
    by_dialect = client.get(f"/api/my/usage?by=dialect&{SPAN}").json()["results"]
    assert {line["subject"] for line in by_dialect} == {"openai-chat"}
    [by_key] = client.get(f"/api/my/usage?by=key&{SPAN}").json()["results"]
    assert by_key["label"] == str(people["key"])
    chart = client.get(f"/api/my/usage/series?{SPAN}").json()["points"]
    assert sum(point["requests"] for point in chart) == own.count()
    assert (
        sum(int(line["requests"]) for line in table(client.get(f"/api/my/usage.csv?{SPAN}")))
        == own.count()
    )
    assert len(table(client.get(f"/api/my/usage/series.csv?{SPAN}"))) == 7
    assert signed_in("charlie").get(f"/api/my/usage?{SPAN}").json()["results"] == []


def test_members_cannot_ask_for_others(signed_in, log, people):
    client = signed_in("charlie")
    for query in (f"user={people['bob'].pk}", f"group={people['group'].pk}", "credential=1", ""):
        assert client.get(f"/api/my/usage?{query}&{SPAN}").json()["results"] == []
    assert client.get(f"/api/my/usage?key={people['key'].pk}").status_code == 400
    assert client.get(f"/api/my/usage/series?key={people['key'].pk}").status_code == 400
    assert client.get("/api/my/usage?by=credential").status_code == 400
    mine = signed_in("bob").get(f"/api/my/usage?key={people['key'].pk}&{SPAN}").json()["results"]
    assert sum(line["requests"] for line in mine) > 100


def test_the_panel_password_owns_nothing(client, log, settings):
    settings.PANEL_PASSWORD = "panel"
    headers = {"Authorization": "Bearer panel"}
    assert client.get(f"/api/my/usage?{SPAN}", headers=headers).json()["results"] == []
    assert client.get(f"/api/usage?{SPAN}", headers=headers).json()["results"]


def test_an_answer_takes_few_queries(signed_in, log, django_assert_max_num_queries):
    client = signed_in("alice")
    # Session, user; how far the days are, the order, the sums, the names, how far all is.
    for path in ("by=key", "by=credential&page_size=100", "by=model", "by=user&sort=errors"):
        with django_assert_max_num_queries(8):
            client.get(f"/api/usage?{path}&{SPAN}")
    with django_assert_max_num_queries(6):
        client.get(f"/api/usage/series?split=model&{SPAN}")
