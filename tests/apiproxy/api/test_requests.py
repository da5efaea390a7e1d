"""/api/requests and one's own: who sees what, the filters, the pages, the CSV."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from asgiref.sync import sync_to_async
from django.db.models import Sum
from django.test import AsyncClient

from apiproxy.models import RequestLog


def walked(client, path):
    found, url = [], path
    for _ in range(200):
        answer = client.get(url)
        assert answer.status_code == 200, answer.content
        page = answer.json()
        found += page["results"]
        url = page["next"]
        if url is None:
            return found
    raise AssertionError("there is no end")


def ids(rows):
    return list(rows.order_by("-id").values_list("request_id", flat=True))


def table(answer):
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


FILTERS = {
    "key": lambda log: {"key_id": log.exclude(key_id=None)[0].key_id},
    "user": lambda log: {"owner_id": log.exclude(owner_id=None)[0].owner_id},
    "group": lambda log: {"group_id": log.exclude(group_id=None)[0].group_id},
    "credential": lambda log: {"credential_id": log.exclude(credential_id=None)[0].credential_id},
    "model": lambda log: {"model": log.exclude(model="")[0].model},
    "dialect": lambda log: {"dialect": "gemini"},
    "status": lambda log: {"status": 429},
    "error_code": lambda log: {"error_code": "client_gone"},
    "request_id": lambda log: {"request_id": log[4].request_id},
    "stream": lambda log: {"stream": True},
}


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_leaves_what_it_says(signed_in, log, name):
    asked = FILTERS[name](log)
    [value] = asked.values()
    rows = log.filter(**asked)
    found = walked(
        signed_in("alice"),
        f"/api/requests?page_size=100&{name}={str(value).lower() if value is True else value}",
    )
    assert [row["request_id"] for row in found] == ids(rows)
    assert found
    nothing = "false" if name == "stream" else 418 if name == "status" else 999_999
    rest = log.exclude(**asked) if name == "stream" else log.none()
    found = walked(signed_in("alice"), f"/api/requests?page_size=100&{name}={nothing}")
    assert [row["request_id"] for row in found] == ids(rest)


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("status_class=success", {"status__lt": 400}),
        ("status_class=error", {"status__gte": 400}),
        ("status_class=4xx", {"status__gte": 400, "status__lt": 500}),
        ("status_class=5xx", {"status__gte": 500}),
        ("charged=true", {"cost_micros__gt": 0}),
        ("charged=false", {"cost_micros": 0}),
        ("since=2026-11-19T00:00:00Z", {"at__gte": "2026-11-19T00:00:00Z"}),
        ("until=2026-11-16T00:00:00Z", {"at__lt": "2026-11-16T00:00:00Z"}),
        ("dialect=gemini&status_class=error", {"dialect": "gemini", "status__gte": 400}),
    ],
)
def test_classes_spans_and_several_at_once(signed_in, log, query, asked):
    found = walked(signed_in("alice"), f"/api/requests?page_size=100&{query}")
    assert [row["request_id"] for row in found] == ids(log.filter(**asked))
    assert found


@pytest.mark.parametrize(
    "query",
    ["key=x", "key=-1", "key=99999999999999999999", "status=1e9", "status_class=9xx", "since=soon",
     "cursor=nonsense", "cursor=cD0tMQ==", "cursor=cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5"],
)  # fmt: skip
def test_what_means_nothing_is_refused_in_words(signed_in, log, query):
    answer = signed_in("alice").get(f"/api/requests?{query}")
    assert answer.status_code == 400
    assert answer.json()


def test_a_line_tells_enough_for_a_list(signed_in, log):
    row = log.filter(cost_micros__gt=0).order_by("-id").first()
    [line] = signed_in("alice").get(f"/api/requests?request_id={row.request_id}").json()["results"]
    assert line["credits"] == f"{row.cost_micros / 10**6:.6f}"
    assert line["credential_id"] == row.credential_id
    assert "attempts" not in line


def test_a_list_is_three_queries_however_long(signed_in, log, django_assert_num_queries):
    client = signed_in("alice")
    for query in ("", "page_size=500", "key=1", "model=none"):
        with django_assert_num_queries(3):  # session, user, rows
            client.get(f"/api/requests?{query}")
    with django_assert_num_queries(5):  # and the ends of the log
        client.get("/api/requests?status_class=error")


def test_others_get_nothing_of_the_site(client, signed_in, log):
    for path in ("/api/requests", "/api/requests.csv", f"/api/requests/{log[0].request_id}"):
        assert client.get(path).status_code in (401, 403)
        assert signed_in("bob").get(path).status_code == 403
        client.logout()
    for path in ("/api/my/requests", "/api/my/requests.csv"):
        assert client.get(path).status_code in (401, 403)


def test_members_see_their_own_calls_and_no_credential(signed_in, log, people):
    own = log.filter(owner_id=people["bob"].pk)
    found = walked(signed_in("bob"), "/api/my/requests?page_size=100")
    assert [row["request_id"] for row in found] == ids(own)
    assert len(found) > 100
    hidden = {"credential_id", "provider", "attempts", "owner_id", "group_id"}
    assert not hidden & set(found[0])
    assert walked(signed_in("charlie"), "/api/my/requests") == []
    detail = signed_in("bob").get(f"/api/my/requests/{own[0].request_id}").json()
    assert not hidden & set(detail)
    assert {"receipt", "waited_ms", "features"} <= set(detail)


def test_members_cannot_reach_others_calls_by_any_filter(signed_in, log, people):
    other = log.exclude(owner_id=people["bob"].pk).exclude(owner_id=None).first()
    client = signed_in("bob")
    assert client.get(f"/api/my/requests/{other.request_id}").status_code == 404
    for query in (f"request_id={other.request_id}", f"key={other.key_id}"):
        assert client.get(f"/api/my/requests?{query}").json()["results"] == []
    own = walked(client, f"/api/my/requests?page_size=100&user={other.owner_id}")
    assert {row["key_id"] for row in own} == {people["key"].pk}


def test_the_panel_password_owns_nothing(client, log, settings):
    settings.PANEL_PASSWORD = "panel"
    headers = {"Authorization": "Bearer panel"}
    assert log.filter(owner_id=None).exists()
    assert client.get("/api/my/requests", headers=headers).json()["results"] == []
    line = log.filter(owner_id=None).first()
    path = f"/api/my/requests/{line.request_id}"
    assert client.get(path, headers=headers).status_code == 404


def test_the_whole_of_a_request_explains_it(signed_in, log):
    row = log.first()
    RequestLog.objects.filter(pk=row.pk).update(
        features="search,image_2k", waited_ms=900, broken=True, tariff="friends"
    )
    found = signed_in("alice").get(f"/api/requests/{row.request_id}").json()
    assert found["features"] == ["search", "image_2k"]
    assert (found["waited_ms"], found["broken"], found["tariff"]) == (900, True, "friends")
    assert found["receipt"] is None
    assert found["attempts"][0]["outcome"] == "ok"


def test_the_csv_holds_all_that_the_filters_leave(signed_in, log):
    answer = signed_in("alice").get(
        "/api/requests.csv?dialect=gemini", headers={"Accept": "text/csv"}
    )
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "requests.csv" in answer["Content-Disposition"]
    lines = table(answer)
    assert [line["request_id"] for line in lines] == ids(log.filter(dialect="gemini"))
    charged = sum(Decimal(line["credits"]) for line in lines)
    micros = log.filter(dialect="gemini").aggregate(sum=Sum("cost_micros"))["sum"]
    assert charged * 10**6 == micros


def test_a_spreadsheet_runs_nothing_of_it(signed_in, log):
    row = log.order_by("-id").first()
    evil = '=HYPERLINK("http://x","y")'
    RequestLog.objects.filter(pk=row.pk).update(requested_model=evil, error="@SUM(A1)")
    line = table(signed_in("alice").get("/api/requests.csv"))[0]
    assert (line["requested_model"], line["error"]) == (f"'{evil}", "'@SUM(A1)")


def test_a_members_csv_is_their_own(signed_in, log, people):
    lines = table(signed_in("bob").get("/api/my/requests.csv"))
    assert {line["key_id"] for line in lines} == {str(people["key"].pk)}
    assert "credential_id" not in lines[0]


def test_a_csv_that_is_refused_says_so_in_words(signed_in, log):
    answer = signed_in("alice").get("/api/requests.csv?key=x", headers={"Accept": "text/csv"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")


@pytest.mark.django_db(transaction=True)
async def test_under_asgi_the_csv_comes_in_pieces(log, people):
    client = AsyncClient()
    await sync_to_async(client.force_login)(people["alice"])
    answer = await client.get("/api/requests.csv")
    assert answer.is_async
    pieces = [piece async for piece in answer.streaming_content]
    assert len(pieces) == 2
    assert b"".join(pieces).count(b"\r\n") == 1 + await log.acount()
