import pytest
from django.core.exceptions import ValidationError as Impossible
from django.db import DataError
from django.http import Http404
from rest_framework.exceptions import NotFound, Throttled, ValidationError
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView

from gateway.lib.audit import record
from gateway.lib.errors import Conflict, InvalidRequest, RateLimited


def answer_to(exc):
    class Failing(APIView):
        permission_classes = ()
        authentication_classes = ()

        def get(self, request):
            if exc:
                raise exc
            return Response({})

    return Failing.as_view()(APIRequestFactory().get("/"))


def test_our_errors_are_told_in_words_with_their_status():
    answer = answer_to(Conflict("Somebody was faster."))
    assert (answer.status_code, answer.data) == (
        409,
        {"detail": "Somebody was faster.", "code": "conflict"},
    )
    assert answer_to(InvalidRequest("No.", param="ids")).data["param"] == "ids"


def test_when_to_come_back_is_a_header():
    answer = answer_to(RateLimited("Slowly.", retry_after_s=1.2))
    assert (answer.status_code, answer["Retry-After"]) == (429, "2")
    assert not answer_to(RateLimited("Slowly.")).has_header("Retry-After")


def test_the_frameworks_own_errors_stay_as_they_are():
    assert answer_to(NotFound("Nothing here.")).status_code == 404


def test_an_error_that_repeats_half_a_surrogate_pair_can_be_sent():
    answer = answer_to(ValidationError({"action": ["\ud83d is no choice"]})).render()
    assert answer.content == b'{"action":["? is no choice"]}'


def test_the_frameworks_own_errors_have_a_code_too():
    assert answer_to(NotFound("Nothing here.")).data == {
        "detail": "Nothing here.",
        "code": "not_found",
    }
    assert answer_to(Http404()).data["code"] == "not_found"
    assert answer_to(ValidationError({"name": ["Too long."]})).data == {"name": ["Too long."]}


def test_being_throttled_is_told_like_our_own_limits():
    answer = answer_to(Throttled(12.3))
    assert (answer.status_code, answer["Retry-After"]) == (429, "13")
    assert answer.data["code"] == "rate_limit_exceeded"


def test_what_a_model_refuses_is_no_fault_of_ours():
    answer = answer_to(Impossible({"name": ["Taken."]}))
    assert (answer.status_code, answer.data) == (400, {"name": ["Taken."]})
    assert answer_to(Impossible("Too much.")).data == {"detail": ["Too much."]}


def test_what_fits_no_column_is_the_clients_fault():
    for exc in (DataError("integer out of range"), OverflowError("date value out of range")):
        assert answer_to(exc).status_code == 400


@pytest.mark.django_db
def test_whoever_mistyped_a_password_is_told_that_it_is_none(settings):
    settings.PANEL_PASSWORD = "let-me-in"
    client = APIClient()
    nothing, wrong = (
        client.get("/api/audit", headers=headers)
        for headers in ({}, {"authorization": "Bearer let-me-out"})
    )
    assert (nothing.status_code, wrong.status_code) == (401, 401)
    assert nothing.data["code"] == wrong.data["code"] == "not_authenticated"
    assert "Sign in" in nothing.data["detail"]
    assert "neither a token" in wrong.data["detail"]


# ------------------------------------------------------------------ pages by cursor


@pytest.fixture
def entries(db):
    return [record(actor="a", action="x", subject=f"thing {number}") for number in range(5)]


@pytest.fixture
def ask(entries, alice_client):
    def ask(url="/api/audit?page_size=2&actor=a"):
        return alice_client.get(url)

    return ask


@pytest.fixture
def alice_client(db, django_user_model):
    client = APIClient()
    client.force_login(django_user_model.objects.create_superuser("alice"))
    return client


def subjects(answer):
    return [one["subject"] for one in answer.data["results"]]


def test_pages_go_from_the_newest_to_the_oldest_and_back(ask):
    first = ask()
    assert subjects(first) == ["thing 4", "thing 3"]
    second = ask(first.data["next"])
    last = ask(second.data["next"])
    assert (subjects(second), subjects(last)) == (["thing 2", "thing 1"], ["thing 0"])
    assert last.data["next"] is None
    assert subjects(ask(last.data["previous"])) == subjects(second)


def test_a_page_stays_where_it_is_while_rows_are_added(ask):
    first = ask()
    record(actor="a", action="x", subject="thing 5")
    assert subjects(ask(first.data["next"])) == ["thing 2", "thing 1"]


@pytest.mark.parametrize(
    "cursor", ["", "x", "é", "cD1hYmM=", "cD0xJTAw", "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "bz05OTk="]
)
def test_a_cursor_of_elsewhere_is_refused_in_words_or_ends_the_list(ask, cursor):
    answer = ask(f"/api/audit?cursor={cursor}")
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.data["param"] == "cursor"


def test_a_cursor_with_a_text_for_a_number_is_refused(ask):
    assert ask("/api/audit?cursor=cD1hYmM%3D").status_code == 400


@pytest.mark.parametrize(("asked", "got"), [("3", 3), ("0", 5), ("x", 5), ("501", 5)])
def test_the_size_of_a_page_has_bounds(ask, asked, got):
    assert len(ask(f"/api/audit?actor=a&page_size={asked}").data["results"]) == got
