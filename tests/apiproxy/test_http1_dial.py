"""Calls through proxies of every kind, on both loops."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from apiproxy.http1_pool import Http1Client
from gateway.lib.errors import ProxyFailed, UpstreamUnreachable
from tests.apiproxy.scripted_upstream import always_ok, certificate, each_loop, serving, until
from tests.fakes.proxies import FakeProxy

KINDS = ("http", "https", "socks4a", "socks5", "socks5h")
LOGINS = {"http": ("bob", "s3:cr@t"), "https": ("bob", "s3:cr@t"), "socks4a": ("bob", "")}
LOGINS |= {"socks5": ("bob", "s3:cr@t"), "socks5h": ("bob", "s3:cr@t")}


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def calling(contexts, **options):
    wanted = {"connect_timeout_s": 20, "read_timeout_s": 20, "max_connections": 20}
    client = Http1Client(tls=contexts[1], **wanted | options)
    try:
        yield client
    finally:
        await client.aclose()


async def get(client, url, proxy=""):
    response = await client.request("GET", url, {}, b"", proxy)
    try:
        body = b""
        while piece := await response.read():
            body += piece
        return response.status, body
    finally:
        response.close()


def proxy_of(kind, contexts, **options):
    user, password = LOGINS[kind]
    tls = contexts[0] if kind == "https" else None
    return FakeProxy.running(kind, user=user, password=password, tls=tls, **options)


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@each_loop
async def test_a_call_goes_through_the_proxy_which_resolves_the_name(contexts, kind, secure):
    tls = contexts[0] if secure else None
    async with serving(always_ok, tls=tls) as server, calling(contexts) as client:
        with proxy_of(kind, contexts, names={"localhost": "127.0.0.1"}) as proxy:
            url = server.url.replace("127.0.0.1", "localhost")
            for _ in range(2):
                assert await get(client, url, proxy.url) == (200, b"ok")
            assert (proxy.asked, proxy.faults) == ([("localhost", server.port)], [])
            assert len(server.requests) == 2
            assert "bob" not in server.requests[0][0]


@each_loop
async def test_socks_4_is_given_an_address(contexts):
    async with serving(always_ok) as server, calling(contexts) as client:
        with FakeProxy.running("socks4", user="bob") as proxy:
            url = server.url.replace("127.0.0.1", "localhost")
            assert await get(client, url, proxy.url) == (200, b"ok")
            assert (proxy.asked, proxy.faults) == ([("127.0.0.1", server.port)], [])


@each_loop
async def test_each_way_has_connections_of_its_own(contexts):
    async with serving(always_ok) as server, calling(contexts) as client:
        with FakeProxy.running("socks5") as one, FakeProxy.running("http") as other:
            for proxy in ("", one.url, other.url) * 3:
                assert await get(client, server.url, proxy) == (200, b"ok")
            assert (one.connections, other.connections, len(server.peers)) == (1, 1, 3)


@each_loop
async def test_the_credentials_own_proxy_takes_the_place_of_the_sites(contexts):
    with FakeProxy.running("http") as site, FakeProxy.running("socks5") as own:
        async with serving(always_ok) as server, calling(contexts, proxy=site.url) as client:
            await get(client, server.url)
            await get(client, server.url, own.url)
            assert (site.connections, own.connections) == (1, 1)


async def failed(client, url, proxy):
    with pytest.raises(ProxyFailed) as raised:
        await get(client, url, proxy)
    chain = []
    error = raised.value
    while error is not None:
        chain.append(str(error))
        error = error.__cause__
    assert not [word for word in ("s3:cr", "s3%3A", "wrong", "bob") if word in " ".join(chain)]
    message = raised.value.message
    assert "127.0.0.1" not in message
    assert message.startswith("the proxy of this credential ")
    assert not client._open
    return message


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@each_loop
async def test_a_wrong_login_is_the_proxys_failure(contexts, kind, secure):
    tls = contexts[0] if secure else None
    async with serving(always_ok, tls=tls) as server, calling(contexts) as client:
        with proxy_of(kind, contexts) as proxy:
            password = "" if kind == "socks4a" else "wrong"
            await failed(client, server.url, proxy.url_with("wrong", password))
            assert server.requests == []


@pytest.mark.parametrize("kind", ["http", "https", "socks4", "socks4a", "socks5"])
@each_loop
async def test_a_proxy_that_lets_nobody_through(contexts, kind):
    async with serving(always_ok, tls=contexts[0]) as server, calling(contexts) as client:
        tls = contexts[0] if kind == "https" else None
        with FakeProxy.running(kind, refuse=True, tls=tls) as proxy:
            await failed(client, server.url, proxy.url)
            assert proxy.asked


@pytest.mark.parametrize("kind", ["http", "https", "socks4a", "socks5"])
@each_loop
async def test_a_proxy_that_says_nothing(contexts, kind):
    async with calling(contexts, connect_timeout_s=0.3) as client:
        with FakeProxy.running(kind, mute=True) as proxy:
            await failed(client, "https://upstream.example/", proxy.url)


@pytest.mark.parametrize("kind", ["http", "https", "socks4", "socks5"])
@each_loop
async def test_a_proxy_that_is_not_there(contexts, kind):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with calling(contexts, max_connections=1) as client:
        for _ in range(2):
            message = await failed(client, "https://127.0.0.1:1/", f"{kind}://127.0.0.1:{port}")
            assert message.endswith("cannot be reached")


@each_loop
async def test_the_sites_proxy_is_called_the_sites(contexts):
    with FakeProxy.running("socks5", refuse=True) as proxy:
        async with calling(contexts, proxy=proxy.url) as client:
            with pytest.raises(ProxyFailed, match="the proxy of this site"):
                await get(client, "https://upstream.example/")


@each_loop
async def test_an_upstream_that_nobody_can_vouch_for(contexts):
    """A certificate for another name is not taken, through whatever it comes."""
    async with serving(always_ok, tls=contexts[0]) as server, calling(contexts) as client:
        with FakeProxy.running("socks5", names={"other.example": "127.0.0.1"}) as proxy:
            with pytest.raises(UpstreamUnreachable):
                await get(client, f"https://other.example:{server.port}/", proxy.url)
            assert server.requests == []


@each_loop
async def test_an_address_that_is_none_is_said_without_it(contexts):
    async with calling(contexts) as client:
        with pytest.raises(ProxyFailed, match="no proper address"):
            await get(client, "https://upstream.example/", "socks9://bob:s3:cr@t")


@each_loop
async def test_a_caller_that_leaves_while_the_proxy_is_greeted(contexts):
    async with calling(contexts) as client:
        with FakeProxy.running("socks5", mute=True) as proxy:
            waiting = asyncio.ensure_future(get(client, "https://upstream.example/", proxy.url))
            await until(lambda: proxy.connections)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert not client._open
