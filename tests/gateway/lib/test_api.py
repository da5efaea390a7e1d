from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

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
