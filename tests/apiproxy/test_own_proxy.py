"""A credential with a proxy of its own: everything that is done with it goes that way."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from apiproxy import runtime
from apiproxy.models import UpstreamError
from credentials import upstream
from credentials.models import Credential
from credentials.services import look_up_email, store
from tests.apiproxy.conftest import API_KEYS, Edge
from tests.apiproxy.test_rules_applied import standing
from tests.fakes.proxies import FakeProxy


@sync_to_async
def give(pk, url):
    row = Credential.objects.get(pk=pk)
    row.proxy = {"url": url}
    row.save()


async def test_only_that_credential_goes_that_way(edge, fake, lent, key):
    with FakeProxy.running("socks5", user="bob", password="s3cret") as proxy:
        await give(lent[0], proxy.url)
        for _ in range(4):
            assert (await edge.chat(key.text)).status == 200
        assert proxy.connections == 1
        assert {record.credential for record in fake.calls()} == set(API_KEYS)


async def test_a_proxy_that_fails_rests_the_credential_and_blames_nobody(edge, fake, lent, key):
    with FakeProxy.running("socks5", user="bob", password="s3cret") as proxy:
        await give(lent[0], proxy.url_with("bob", "wrong"))
        answers = [await edge.chat(key.text) for _ in range(4)]
        assert [answer.status for answer in answers] == [200] * 4
        assert proxy.connections == 1
        found = await standing(edge)
        assert found["AIzaAA"][:2] == ("cooling", "proxy_failed")
        assert found["AIzaBB"] == ("active", "")
        row = await UpstreamError.objects.aget()
        assert (row.kind, row.reason, row.status) == ("network", "proxy_failed", 0)
        assert "wrong" not in row.message
        assert "127.0.0.1" not in row.message


async def test_alone_it_answers_in_words_without_the_address(edge, fake, lent, key):
    await sync_to_async(Credential.objects.filter(pk=lent[1]).update)(state="disabled")
    with FakeProxy.running("socks5", refuse=True) as proxy:
        await give(lent[0], proxy.url)
        await give(lent[1], "")
        answer = await edge.chat(key.text)
    assert (answer.status, "127.0.0.1" in answer.body.decode()) == (502, False)
    assert "the upstream cannot be reached just now" in answer.json["error"]["message"]


@pytest.fixture
def login(fake, database):
    fake.add_account(
        access_token="ya29.old",
        refresh_token="1//refresh",
        client_id="client",
        client_secret="secret",
        project="a-project",
        email="bob@example.com",
    )
    return store(
        provider="code_assist",
        secret={
            "client_id": "client",
            "client_secret": "secret",
            "refresh_token": "1//refresh",
            "access_token": "ya29.old",
            "expires_at": 1.0,
        },
        label="login",
    ).pk


@pytest.fixture
def proxy(fake, settings):
    """The only one who knows where Google is."""
    away = fake.url.replace("127.0.0.1", "google.example")
    for name in (
        "GEMINI_API_URL",
        "CODE_ASSIST_ENDPOINT",
        "OAUTH_PROXY_URL",
        "GOOGLEAPIS_PROXY_URL",
    ):
        setattr(settings, name, away)
    settings.RESOURCE_MANAGER_API_URL = settings.SERVICE_USAGE_API_URL = away
    settings.CLOUD_AI_COMPANION_API_URL = away
    settings.RETRY_429_INTERVAL_S = 0.01
    names = {"google.example": "127.0.0.1"}
    with FakeProxy.running("socks5", user="bob", password="s3cret", names=names) as proxy:
        yield proxy
        assert proxy.faults == []
        assert {host for host, _ in proxy.asked} <= {"google.example"}


@pytest.fixture
async def far_edge(proxy, database):
    live = await runtime.start()
    yield Edge(live)
    await runtime.stop()


async def test_a_stale_login_without_a_project_is_mended_that_way(
    far_edge, fake, login, proxy, key
):
    await give(login, proxy.url)
    assert (await far_edge.chat(key.text)).status == 200
    assert (await Credential.objects.aget(pk=login)).project_id == "a-project"
    assert len(fake.calls("token")) == 1


async def test_a_refresh_that_meets_a_broken_proxy_blames_nobody(far_edge, fake, login, proxy, key):
    await give(login, proxy.url_with("bob", "wrong"))
    answer = await far_edge.chat(key.text)
    assert answer.status == 502
    assert "the upstream cannot be reached just now" in answer.json["error"]["message"]
    assert (await standing(far_edge))["login"][:2] == ("cooling", "proxy_failed")
    assert fake.calls("token") == []


def test_probes_and_the_look_up_of_the_address_go_that_way(fake, login, proxy):
    async_to_sync(give)(login, proxy.url)
    [finding] = upstream.current().check([login])
    assert finding.verdict == "works"
    assert upstream.current().projects(login) == ["a-project"]
    look_up_email(credential_id=login)
    assert Credential.objects.get(pk=login).email == "bob@example.com"
