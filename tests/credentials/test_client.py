import httpx
import pytest

from credentials.client import GoogleClient
from credentials.oauth import TokenReply
from gateway.lib.errors import UpstreamFailed, UpstreamTimeout, UpstreamUnreachable
from tests.credentials.samples import ACCESS_TOKEN, CLIENT_SECRET, REFRESH_TOKEN


@pytest.fixture(autouse=True)
def addresses(settings):
    settings.OAUTH_PROXY_URL = "https://oauth2.example"
    settings.GOOGLEAPIS_PROXY_URL = "https://www.example"


def client(handler) -> GoogleClient:
    return GoogleClient(transport=httpx.MockTransport(handler))


def refresh(google: GoogleClient):
    return google.refresh(refresh_token=REFRESH_TOKEN, client_id="c", client_secret=CLIENT_SECRET)


def test_a_refresh_goes_to_the_address_of_the_settings_as_a_form():
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(200, json={"access_token": "ya29.new", "expires_in": 10})

    assert refresh(client(answer)) == TokenReply("ya29.new", 10)
    (request,) = seen
    assert str(request.url) == "https://oauth2.example/token"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert b"refresh_token=1%2F%2F0madeUp" in request.content


def test_an_exchange_gives_both_tokens():
    answer = {"access_token": "ya29.new", "expires_in": 10, "refresh_token": "1//new"}
    google = client(lambda request: httpx.Response(200, json=answer))
    reply = google.exchange_code(
        code="4/c",
        redirect_uri="http://localhost",
        code_verifier="v",
        client_id="c",
        client_secret="s",
    )
    assert reply == TokenReply("ya29.new", 10, "1//new")


def test_the_address_of_a_login():
    def answer(request):
        assert str(request.url) == "https://www.example/oauth2/v2/userinfo"
        assert request.headers["authorization"] == f"Bearer {ACCESS_TOKEN}"
        return httpx.Response(200, json={"email": "alice@example.org", "verified_email": True})

    assert client(answer).fetch_email(access_token=ACCESS_TOKEN) == "alice@example.org"


def test_a_refused_userinfo_is_an_error_without_the_token():
    google = client(lambda request: httpx.Response(401, json={"error": {"code": 401}}))
    with pytest.raises(UpstreamFailed) as raised:
        google.fetch_email(access_token=ACCESS_TOKEN)
    assert ACCESS_TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.ConnectError(f"no route with {REFRESH_TOKEN}"), UpstreamUnreachable),
        (httpx.RemoteProtocolError("gone"), UpstreamUnreachable),
        (httpx.ReadTimeout("slow"), UpstreamTimeout),
        (httpx.ConnectTimeout("slow"), UpstreamTimeout),
    ],
)
def test_failures_of_the_network_become_our_own(failure, error):
    def fail(request):
        raise failure

    with pytest.raises(error) as raised:
        refresh(client(fail))
    assert type(raised.value) is error
    assert REFRESH_TOKEN not in str(raised.value)


def test_an_address_that_is_none_is_an_error_of_ours(settings):
    settings.OAUTH_PROXY_URL = "https://example:port"
    with pytest.raises(UpstreamUnreachable):
        refresh(client(lambda request: httpx.Response(200)))
