"""What is told where no view has answered: JSON to programs, pages to people."""

from __future__ import annotations

import pytest


@pytest.fixture
def outside(client):
    """As the server answers: a failure is told, not raised."""
    client.raise_request_exception = False
    return client


DEEP = b"[" * 100_000
TOO_MUCH = b'{"api_key": "' + b"x" * 3_000_000 + b'"}'


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/auth/query", "/auth/login"])
def test_json_without_an_end_is_the_senders_mistake(outside, path):
    answer = outside.post(path, DEEP, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "parse_error"


@pytest.mark.django_db
def test_what_is_too_large_is_told_so(outside):
    answer = outside.post("/auth/query", TOO_MUCH, content_type="application/json")
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/nothing", "/auth/query/", "/auth/keys/a/b", "/usage/x"])
def test_programs_are_told_in_json_where_nothing_is(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/nothing", "/auth/nothing", "/quota/nothing"])
def test_people_are_shown_a_page_where_nothing_is(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert b"There is nothing here" in answer.content
