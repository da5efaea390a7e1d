from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from gateway.lib.access import is_operator, is_steward, operators_only, stewards_only


def person(role, **changes):
    return SimpleNamespace(**{"role": role, "is_active": True, "is_authenticated": True} | changes)


@pytest.mark.parametrize(
    ("user", "operates", "manages"),
    [
        (person("operator"), True, True),
        (person("steward"), False, True),
        (person("member"), False, False),
        (person("contributor"), False, False),
        (person("operator", is_active=False), False, False),
        (person("steward", is_active=False), False, False),
        (AnonymousUser(), False, False),
        (None, False, False),
    ],
)
def test_the_role_decides(user, operates, manages):
    assert (is_operator(user), is_steward(user)) == (operates, manages)


@operators_only
def page_of_operators(request, number):
    return HttpResponse(f"page {number}")


@stewards_only
async def page_of_stewards(request):
    return HttpResponse("page")


def visit(user):
    request = RequestFactory().get("/somewhere?q=1")
    request.user = user
    return page_of_operators(request, number=7)


def test_a_page_sends_strangers_to_sign_in_and_back(db):
    assert visit(person("operator")).content == b"page 7"
    assert visit(AnonymousUser()).url == "/account/login?next=/somewhere%3Fq%3D1"
    refused = visit(person("steward"))
    assert refused.status_code == 403
    assert b"Only operators" in refused.content


@pytest.mark.django_db(transaction=True)
async def test_an_async_page_does_the_same():
    def request_of(user):
        request = AsyncRequestFactory().get("/")

        async def auser():
            return user

        request.auser = auser
        return request

    assert (await page_of_stewards(request_of(person("steward")))).content == b"page"
    assert (await page_of_stewards(request_of(AnonymousUser()))).status_code == 302
    refused = await page_of_stewards(request_of(person("member")))
    assert refused.status_code == 403
    assert b"stewards" in refused.content
