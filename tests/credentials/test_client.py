import httpx
import pytest

from credentials.client import GoogleClient
from credentials.oauth import TokenReply
from gateway.lib.errors import ProxyFailed, UpstreamFailed, UpstreamTimeout, UpstreamUnreachable
from tests.credentials.samples import ACCESS_TOKEN, CLIENT_SECRET, REFRESH_TOKEN
from tests.fakes.google import FakeGoogle
from tests.fakes.proxies import FakeProxy


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


@pytest.mark.parametrize(
    ("status", "body", "gone"),
    [
        (200, "{}", True),
        (400, '{"error": "invalid_token", "error_description": "Token expired or revoked"}', True),
        (400, '{"error": "invalid_request"}', False),
        (403, '{"error": "access_denied"}', False),
    ],
)
def test_ending_a_grant(status, body, gone):
    def answer(request):
        assert str(request.url) == "https://oauth2.example/revoke"
        assert request.content == b"token=1%2F%2F0x"
        return httpx.Response(status, text=body)

    assert client(answer).revoke(token="1//0x") is gone


@pytest.mark.parametrize("answer", [(500, "{}"), (429, '{"error": "x"}'), (400, "<html>")])
def test_an_end_that_was_not_answered_may_be_asked_for_again(answer):
    google = client(lambda request: httpx.Response(answer[0], text=answer[1]))
    with pytest.raises(UpstreamFailed) as raised:
        google.revoke(token=REFRESH_TOKEN)
    assert REFRESH_TOKEN not in str(raised.value)


class TestProxies:
    @pytest.fixture
    def account(self, settings):
        with FakeGoogle.running() as google:
            settings.OAUTH_PROXY_URL = settings.GOOGLEAPIS_PROXY_URL = google.url.replace(
                "127.0.0.1", "oauth2.example"
            )
            google.add_account(
                access_token=ACCESS_TOKEN,
                refresh_token=REFRESH_TOKEN,
                client_id="c",
                client_secret=CLIENT_SECRET,
                project="p",
                email="alice@example.org",
            )
            yield google

    @pytest.mark.parametrize("kind", ["http", "socks4a", "socks5", "socks5h"])
    def test_everything_goes_through_the_credentials_own(self, account, kind):
        names = {"oauth2.example": "127.0.0.1"}
        user, password = "bob", "" if kind == "socks4a" else "s3:cr@t"
        with FakeProxy.running(kind, user=user, password=password, names=names) as proxy:
            google = GoogleClient()
            token = google.refresh(
                refresh_token=REFRESH_TOKEN,
                client_id="c",
                client_secret=CLIENT_SECRET,
                proxy=proxy.url,
            ).access_token
            assert google.fetch_email(access_token=token, proxy=proxy.url) == "alice@example.org"
            assert google.revoke(token=REFRESH_TOKEN, proxy=proxy.url)
            assert google.revoke(token=REFRESH_TOKEN, proxy=proxy.url)
            assert {host for host, _ in proxy.asked} == {"oauth2.example"}
            assert (len(proxy.asked), proxy.faults) == (4, [])

    def test_the_sites_proxy_is_used_without_one(self, account, settings):
        names = {"oauth2.example": "127.0.0.1"}
        with FakeProxy.running("socks5", names=names) as proxy:
            settings.UPSTREAM_PROXY = proxy.url
            assert refresh(GoogleClient()).access_token
            assert len(proxy.asked) == 1

    @pytest.mark.parametrize("kind", ["http", "socks4", "socks4a", "socks5"])
    @pytest.mark.parametrize("trouble", ["login", "refuse", "gone"])
    def test_a_proxy_that_fails_is_named_without_its_address(self, settings, kind, trouble):
        settings.OAUTH_PROXY_URL = "https://127.0.0.1:1"
        user = "" if trouble == "refuse" else "bob"
        password = "s3cret" if user and kind in ("http", "socks5") else ""
        with FakeProxy.running(
            kind, user=user, password=password, refuse=trouble == "refuse"
        ) as proxy:
            url = proxy.url if trouble != "login" else proxy.url.replace("bob", "eve")
            if trouble == "gone":
                proxy.stop()
            with pytest.raises(ProxyFailed, match="the proxy of this credential") as raised:
                GoogleClient().refresh(
                    refresh_token=REFRESH_TOKEN, client_id="c", client_secret="s", proxy=url
                )
        assert "127.0.0.1" not in str(raised.value)
        said = f"{raised.value!r} {raised.value.__cause__!r}"
        assert not [secret for secret in (REFRESH_TOKEN, "s3cret", "eve") if secret in said]
