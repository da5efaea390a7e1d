"""The client against real sockets, on both loops."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import zlib
from contextlib import asynccontextmanager, suppress

import pytest

from apiproxy import http1_pool
from apiproxy.http1 import MAX_WAITING_BYTES
from apiproxy.http1_pool import Http1Client
from gateway.lib.errors import StreamBroken, UpstreamTimeout, UpstreamUnreachable
from tests.apiproxy.conftest import API_KEYS
from tests.apiproxy.scripted_upstream import (
    OK,
    always_ok,
    answering,
    certificate,
    each_loop,
    serving,
    until,
)

STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
EARLY = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n"
# Longer than any test may take.
NEVER_S = 60


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def calling(**options):
    wanted = {"connect_timeout_s": NEVER_S, "read_timeout_s": NEVER_S, "max_connections": 100}
    client = Http1Client(**wanted | options)
    try:
        yield client
    finally:
        await client.aclose()


async def get(client, server, path="/", headers=None):
    response = await client.request("GET", server.url + path, headers or {})
    try:
        return response.status, await everything(response)
    finally:
        response.close()


async def everything(response):
    pieces = []
    while piece := await response.read():
        pieces.append(piece)
    return b"".join(pieces)


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def packed(body, coding=b"gzip"):
    return b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n%b" % (
        coding,
        len(body),
        body,
    )


# Calls.


@each_loop
async def test_a_call():
    async with serving(always_ok) as server, calling() as client:
        response = await client.request("POST", f"{server.url}/a?b=c", {"x-key": "k"}, b"[1]")
        assert (response.status, response.headers) == (200, {"content-length": "2"})
        assert await everything(response) == b"ok"
        response.close()
        [(head, body)] = server.requests
        assert head.startswith(f"POST /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n")
        assert "x-key: k\r\n" in head
        assert body == b"[1]"


@each_loop
async def test_a_request_that_must_not_be_is_not_sent():
    async with serving(always_ok) as server, calling(max_connections=1) as client:
        for _ in range(2):
            with pytest.raises(ValueError, match="header"):
                await get(client, server, headers={"x-key": "a\r\nx-evil: b"})
        assert await get(client, server) == (200, b"ok")
        assert len(server.requests) == 1


@each_loop
async def test_two_hundred_at_once():
    async with serving(always_ok) as server, calling(max_connections=50) as client:
        answers = await asyncio.gather(*(get(client, server, f"/{n}") for n in range(200)))
        assert answers == [(200, b"ok")] * 200
        assert len(server.requests) == 200
        assert len(server.peers) <= 50


@each_loop
async def test_an_address_in_brackets():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as exc:
        pytest.skip(f"this machine has no IPv6: {exc}")
    async with serving(always_ok, host="::1") as server, calling() as client:
        assert await get(client, server) == (200, b"ok")
        assert f"host: [::1]:{server.port}\r\n" in server.requests[0][0]


@each_loop
async def test_small_packets_do_not_wait():
    async with serving(answering(STREAM)) as server, calling() as client:
        response = await client.request("GET", server.url, {})
        connection = response._connection.transport.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        response.close()


@each_loop
async def test_known_targets_are_bounded(monkeypatch):
    monkeypatch.setattr(http1_pool, "_KNOWN_TARGETS", 2)
    async with serving(always_ok) as server, calling() as client:
        for number in range(5):
            await get(client, server, f"/{number}")
        assert len(client._targets) <= 2
        assert [head.split()[1] for head, _ in server.requests] == ["/0", "/1", "/2", "/3", "/4"]


# Connections that are kept.


@each_loop
async def test_the_last_used_connection_is_the_first_used_again():
    async with serving(always_ok) as server, calling() as client:
        first = await client.request("GET", server.url, {})
        second = await client.request("GET", server.url, {})
        assert len(server.peers) == 2
        for response in (second, first):
            await everything(response)
            response.close()
        third = await client.request("GET", server.url, {})
        assert third._connection.transport.get_extra_info("sockname") == server.peers[
            0
        ].writer.get_extra_info("peername")
        third.close()


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
    ],
)
@each_loop
async def test_connections_that_are_not_kept(reply):
    async with serving(answering(reply)) as server, calling() as client:
        for _ in range(2):
            assert await get(client, server) == (200, b"ok")
        await asyncio.gather(*(peer.gone.wait() for peer in server.peers))
        assert len(server.peers) == 2


@each_loop
async def test_a_body_may_last_as_long_as_its_connection():
    async def handler(peer):
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nto the end")
        peer.close()

    async with serving(handler) as server, calling() as client:
        for _ in range(2):
            assert await get(client, server) == (200, b"to the end")


@each_loop
async def test_an_idle_connection_is_closed_after_a_while(monkeypatch):
    monkeypatch.setattr(http1_pool, "IDLE_S", 0.01)
    monkeypatch.setattr(http1_pool, "_TICK_S", 0.01)
    async with serving(always_ok) as server, calling() as client:
        await get(client, server)
        await server.peers[0].gone.wait()
        await until(lambda: client._tick is None)
        assert not any(client._idle.values())
        assert await get(client, server) == (200, b"ok")
        assert client._tick is not None


@pytest.mark.parametrize("how", ["close", "reset"])
@each_loop
async def test_a_connection_that_the_upstream_has_closed_is_not_used(how):
    async with serving(always_ok) as server, calling() as client:
        await get(client, server)
        connection = next(iter(client._open))
        getattr(server.peers[0], how)()
        await until(lambda: not connection.is_open)
        assert await get(client, server) == (200, b"ok")
        assert len(server.requests) == 2


@each_loop
async def test_an_older_connection_is_used_when_the_newest_has_ended():
    async with serving(always_ok) as server, calling() as client:
        await asyncio.gather(get(client, server), get(client, server))
        newest = client._idle[next(iter(client._idle))][-1]
        name = newest.transport.get_extra_info("sockname")
        for peer in server.peers:
            if peer.writer.get_extra_info("peername") == name:
                peer.close()
        await until(lambda: not newest.is_open)
        assert await get(client, server) == (200, b"ok")
        assert len(server.peers) == 2


@pytest.mark.parametrize("how", ["close", "reset"])
@each_loop
async def test_a_connection_that_closes_under_the_request_costs_nobody_an_error(how):
    async def handler(peer):
        await peer.request()
        peer.send(OK)
        if peer.number == 0:
            await peer.request()
            getattr(peer, how)()
        else:
            await always_ok(peer)

    async with serving(handler) as server, calling(max_connections=1) as client:
        for _ in range(3):
            assert await get(client, server) == (200, b"ok")
        assert len(server.peers) == 2


@each_loop
async def test_only_a_used_connection_gets_a_second_chance_and_only_one():
    async def handler(peer):
        if peer.number == 0:
            await peer.request()
            peer.send(OK)
        await peer.request()
        peer.close()

    async with serving(handler) as server, calling(max_connections=1) as client:
        await get(client, server)
        for seen in (3, 4):
            with pytest.raises(UpstreamUnreachable):
                await get(client, server)
            assert len(server.requests) == seen


@each_loop
async def test_half_an_answer_is_no_reason_to_ask_again():
    async def handler(peer):
        await peer.request()
        peer.send(OK)
        await peer.request()
        peer.send(b"HTTP/1.1 2")
        peer.close()

    async with serving(handler) as server, calling() as client:
        await get(client, server)
        with pytest.raises(UpstreamUnreachable):
            await get(client, server)
        assert len(server.requests) == 2


@each_loop
async def test_an_answer_before_the_request_is_out_ends_the_connection():
    async def handler(peer):
        peer.send(EARLY)
        await asyncio.Event().wait()

    async with serving(handler) as server, calling() as client:
        response = await client.request("POST", server.url, {}, bytes(32 * 1024 * 1024))
        assert (response.status, await everything(response)) == (413, b"")
        response.close()
        assert not client._open


@each_loop
async def test_a_response_that_is_dropped_is_closed_at_once():
    async def handler(peer):
        await peer.request()
        peer.send(STREAM + chunk(b"one"))

    async with serving(handler) as server, calling(max_connections=1) as client:
        for _ in range(2):
            response = await client.request("GET", server.url, {})
            assert await response.read() == b"one"
            response.close()
            response.close()
            with pytest.raises(RuntimeError):
                await response.read()
            await server.peers[-1].gone.wait()


# The limit.


@each_loop
async def test_calls_wait_their_turn():
    async with serving(always_ok) as server, calling(max_connections=2) as client:
        held = [await client.request("GET", server.url, {}) for _ in range(2)]
        order = []

        async def call(number):
            response = await client.request("GET", server.url, {})
            order.append(number)
            response.close()

        waiting = [asyncio.ensure_future(call(number)) for number in range(5)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        waiting[3].cancel()
        assert len(server.requests) == 2
        held.pop().close()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert order == [0, 2, 4]
        held.pop().close()
        both = [await client.request("GET", server.url, {}) for _ in range(2)]
        for response in both:
            response.close()


@each_loop
async def test_idle_connections_count_and_give_way():
    async with (
        serving(always_ok) as one,
        serving(always_ok) as other,
        calling(max_connections=3) as client,
    ):
        await asyncio.gather(*(get(client, one) for _ in range(3)))
        assert one.open == 3
        await asyncio.gather(*(get(client, other) for _ in range(3)))
        await until(lambda: one.open + other.open <= 3)
        assert other.open == 3


# TLS and the proxy.


@each_loop
async def test_an_encrypted_call(contexts):
    server_tls, client_tls = contexts
    names = []
    server_tls.sni_callback = lambda connection, name, context: names.append(name)
    server_tls.set_alpn_protocols(["h2", "http/1.1"])
    async with serving(always_ok, tls=server_tls) as server, calling(tls=client_tls) as client:
        server.url = server.url.replace("127.0.0.1", "localhost")
        for _ in range(2):
            assert await get(client, server) == (200, b"ok")
        [peer] = server.peers
        assert peer.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        assert names == ["localhost"]


@each_loop
async def test_much_comes_encrypted(contexts):
    server_tls, client_tls = contexts
    body = bytes(range(256)) * 4 * 8192
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with (
        serving(answering(head + body), tls=server_tls) as server,
        calling(tls=client_tls) as client,
    ):
        for _ in range(2):
            assert await get(client, server) == (200, body)
        assert len(server.peers) == 1


@each_loop
async def test_a_stranger_is_not_believed(contexts):
    async with serving(always_ok, tls=contexts[0]) as server, calling() as client:
        with pytest.raises(UpstreamUnreachable) as raised:
            await get(client, server)
        assert "CERTIFICATE_VERIFY_FAILED" in str(raised.value.__cause__)
        assert not server.requests


def proxy_to(server, verdict=b"HTTP/1.1 200 Connection established\r\n\r\n"):
    """A proxy that tunnels whatever it is asked for to this server."""

    async def copy(reader, writer):
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def handler(peer):
        await peer.request()
        peer.send(verdict)
        if b" 200 " in verdict:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            await asyncio.gather(copy(peer.reader, writer), copy(reader, peer.writer))

    return handler


def with_secret(proxy):
    return proxy.url.replace("://", "://bob:sec%3Aret@")


@each_loop
async def test_a_tunnel(contexts):
    server_tls, client_tls = contexts
    async with serving(always_ok, tls=server_tls) as server, serving(proxy_to(server)) as proxy:
        async with calling(tls=client_tls, proxy=with_secret(proxy)) as client:
            for _ in range(2):
                assert await get(client, server) == (200, b"ok")
        # Both ends of the tunnel go with the client.
        await server.peers[0].gone.wait()
        [(head, _)] = proxy.requests
        assert head.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n")
        assert "proxy-authorization: Basic Ym9iOnNlYzpyZXQ=\r\n" in head
        assert all("authorization" not in head for head, _ in server.requests)


@each_loop
async def test_a_relayed_call():
    async with serving(always_ok) as proxy, calling(proxy=with_secret(proxy)) as client:
        response = await client.request("GET", "http://up.example/a", {})
        assert await everything(response) == b"ok"
        response.close()
        [(head, _)] = proxy.requests
        assert head.startswith("GET http://up.example/a HTTP/1.1\r\nhost: up.example\r\n")
        assert "proxy-authorization: Basic" in head


@pytest.mark.parametrize(
    "verdict",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 9\r\n\r\nnot there",
        b"SOCKS\r\n\r\n",
    ],
)
@each_loop
async def test_a_proxy_that_refuses(contexts, verdict):
    async with (
        serving(always_ok, tls=contexts[0]) as server,
        serving(proxy_to(server, verdict)) as proxy,
        calling(tls=contexts[1], proxy=with_secret(proxy)) as client,
    ):
        with pytest.raises(UpstreamUnreachable) as raised:
            await get(client, server)
        assert "sec" not in str(raised.value) + str(raised.value.__cause__)
        await proxy.peers[0].gone.wait()
        assert not client._open


@pytest.mark.parametrize("granted", [b"", b"HTTP/1.1 200 OK\r\n\r\n"])
@pytest.mark.parametrize("then", [b"", b"HTTP/1.1 400 This is not TLS\r\n\r\n"])
@each_loop
async def test_a_proxy_that_does_something_else(contexts, granted, then):
    async def handler(peer):
        await peer.request()
        peer.send(granted)
        if granted:
            await peer.reader.read(1)
        peer.send(then)
        peer.close()

    async with serving(handler) as proxy, calling(tls=contexts[1], proxy=proxy.url) as client:
        with pytest.raises(UpstreamUnreachable):
            await client.request("GET", "https://127.0.0.1:1/", {})
        assert not client._open


# Failures.


@each_loop
async def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with calling(max_connections=1) as client:
        for _ in range(2):
            with pytest.raises(UpstreamUnreachable) as raised:
                await client.request("GET", f"http://127.0.0.1:{port}/", {})
            assert str(port) not in str(raised.value)
            assert isinstance(raised.value.__cause__, OSError)


@each_loop
async def test_a_name_that_cannot_be_looked_up():
    async with calling() as client:
        with pytest.raises(UpstreamUnreachable):
            await client.request("GET", f"http://{'a' * 70}.invalid/", {})


@pytest.mark.parametrize("scheme", ["https", "tunnel"])
@each_loop
async def test_a_connection_that_takes_too_long(contexts, scheme):
    async def mute(peer):
        await peer.wait_gone()

    async with serving(mute) as server:
        proxy = server.url if scheme == "tunnel" else ""
        url = f"https://127.0.0.1:{server.port}/"
        async with calling(tls=contexts[1], proxy=proxy, connect_timeout_s=0.05) as client:
            with pytest.raises(UpstreamUnreachable) as raised:
                await client.request("GET", url, {})
            assert isinstance(raised.value.__cause__, TimeoutError)
            await server.peers[0].gone.wait()


@pytest.mark.parametrize("drip", [b"", b"x"])
@each_loop
async def test_a_head_that_does_not_come_in_time(drip):
    async def handler(peer):
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nx-slow: ")
        while not peer.writer.transport.is_closing():
            peer.send(drip)
            await asyncio.sleep(0.005)

    async with serving(handler) as server, calling(read_timeout_s=0.05) as client:
        with pytest.raises(UpstreamTimeout, match="did not answer in time"):
            await get(client, server)
        assert not client._open


@each_loop
async def test_an_upstream_that_falls_silent():
    async with (
        serving(answering(STREAM, chunk(b"one"))) as server,
        calling(read_timeout_s=0.05) as client,
    ):
        response = await client.request("GET", server.url, {})
        assert await response.read() == b"one"
        with pytest.raises(UpstreamTimeout, match="fell silent"):
            await response.read()
        await server.peers[0].gone.wait()
        response.close()


@each_loop
async def test_a_reader_may_take_its_time():
    async def handler(peer):
        await peer.request()
        peer.send(STREAM)
        await may_go_on.wait()
        peer.send(chunk(b"late") + chunk(b""))

    may_go_on = asyncio.Event()
    async with serving(handler) as server, calling(read_timeout_s=0.02) as client:
        response = await client.request("GET", server.url, {})
        # Several ticks pass in which nobody waits for the upstream.
        await asyncio.sleep(0.06)
        reading = asyncio.ensure_future(everything(response))
        may_go_on.set()
        assert await reading == b"late"
        response.close()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("start", [STREAM, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"])
@each_loop
async def test_an_answer_that_breaks_off(start, how):
    async def handler(peer):
        await peer.request()
        peer.send(start)
        peer.send(chunk(b"one"))
        await read_one.wait()
        getattr(peer, how)()

    read_one = asyncio.Event()
    async with serving(handler) as server, calling(max_connections=1) as client:
        for _ in range(2):
            read_one.clear()
            response = await client.request("GET", server.url, {})
            assert b"one" in await response.read()
            read_one.set()
            with pytest.raises(StreamBroken) as raised:
                await response.read()
            assert raised.value.__cause__ is not None
            response.close()


# Bodies.


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", gzip.compress(b"hello, world" * 99, mtime=0)),
        (b"GZIP", gzip.compress(b"hello, world" * 99, 0, mtime=0)),
        (b"deflate", zlib.compress(b"hello, world" * 99)),
        (b"identity", b"hello, world" * 99),
    ],
)
@each_loop
async def test_packed_bodies(coding, body):
    reply = packed(body, coding)
    pieces = [reply[place : place + 1] for place in range(len(reply))]
    async with serving(answering(*pieces)) as server, calling() as client:
        for _ in range(2):
            assert await get(client, server) == (200, b"hello, world" * 99)
        assert len(server.peers) == 1


@each_loop
async def test_an_empty_body_is_not_unpacked():
    async with serving(answering(packed(b""))) as server, calling() as client:
        assert await get(client, server) == (200, b"")


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", gzip.compress(b"hello", mtime=0)[:-1]),
        (b"gzip", gzip.compress(b"hello", mtime=0) + b"more"),
        (b"gzip", b"hello"),
        (b"br", b"\x0b\x02\x80hello\x03"),
    ],
)
@each_loop
async def test_bodies_that_cannot_be_unpacked(coding, body):
    async with serving(answering(packed(body, coding))) as server, calling() as client:
        with pytest.raises(StreamBroken, match="cannot be read"):
            await get(client, server)


@each_loop
async def test_a_small_packet_may_hold_much_but_not_at_once():
    size = 64 * 1024 * 1024
    async with (
        serving(answering(packed(gzip.compress(bytes(size), 1)))) as server,
        calling() as client,
    ):
        response = await client.request("GET", server.url, {})
        total = 0
        while piece := await response.read():
            assert len(piece) <= 1024 * 1024
            total += len(piece)
        assert total == size
        response.close()


@each_loop
async def test_a_reader_that_does_not_read_holds_the_upstream_back():
    piece, count = bytes(1024 * 1024), 32

    async def handler(peer):
        await peer.request()
        peer.send(STREAM)
        for _ in range(count):
            peer.send(chunk(piece))
            await peer.writer.drain()
        peer.send(chunk(b""))

    async with serving(handler) as server, calling() as client:
        response = await client.request("GET", server.url, {})
        connection = response._connection
        await until(lambda: not connection.transport.is_reading())
        assert connection._waiting_bytes <= MAX_WAITING_BYTES + 256 * 1024
        assert len(await everything(response)) == count * len(piece)
        response.close()
        assert server.open == 1


# Cancelled callers.


@pytest.mark.parametrize("stage", ["handshake", "tunnel", "head", "body"])
@each_loop
async def test_a_caller_that_leaves(contexts, stage):
    """The upstream sees it, and the only place is free again."""

    async def handler(peer):
        if stage in ("handshake", "tunnel") and peer.number > 0:
            peer.close()
        if stage in ("head", "body"):
            await peer.request()
            if stage == "body" or peer.number > 0:
                peer.send(STREAM)
            if peer.number > 0:
                peer.send(chunk(b""))

    async with serving(handler) as server:
        secure = stage in ("handshake", "tunnel")
        url = f"{'https' if secure else 'http'}://127.0.0.1:{server.port}/"
        proxy = server.url if stage == "tunnel" else ""
        async with calling(tls=contexts[1], proxy=proxy, max_connections=1) as client:

            async def call():
                response = await client.request("GET", url, {})
                try:
                    return await everything(response)
                finally:
                    response.close()

            calling_task = asyncio.ensure_future(call())
            await until(lambda: server.peers)
            if stage in ("head", "body"):
                await until(lambda: server.requests)
            # What the server sends for this stage arrives before the caller leaves.
            await asyncio.sleep(0.02)
            calling_task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling_task
            await server.peers[0].gone.wait()
            assert not client._open
            if secure:
                with pytest.raises(UpstreamUnreachable):
                    await call()
            else:
                assert await call() == b""


@each_loop
async def test_a_caller_that_leaves_while_the_address_is_looked_up(monkeypatch):
    async with serving(always_ok) as server, calling(max_connections=1) as client:
        with monkeypatch.context() as patched:
            patched.setattr(client._dialler, "dial", lambda *_: asyncio.Event().wait())
            waiting = asyncio.ensure_future(get(client, server))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert await get(client, server) == (200, b"ok")


@each_loop
async def test_the_end_of_the_client():
    async with (
        serving(answering(STREAM, chunk(b"one"))) as server,
        serving(always_ok) as other,
        calling() as client,
    ):
        await get(client, other)
        response = await client.request("GET", server.url, {})
        assert await response.read() == b"one"
        reading = asyncio.ensure_future(response.read())
        await asyncio.sleep(0)
        await client.aclose()
        with pytest.raises(StreamBroken):
            await reading
        response.close()
        await server.peers[0].gone.wait()
        await other.peers[0].gone.wait()
        with pytest.raises(RuntimeError, match="closed"):
            await get(client, server)


@each_loop
async def test_a_connection_that_comes_after_the_end_is_not_kept(monkeypatch):
    async with serving(always_ok) as server, calling() as client:
        dial, may_dial = client._dialler.dial, asyncio.Event()

        async def dial_late(*args):
            await may_dial.wait()
            await dial(*args)

        monkeypatch.setattr(client._dialler, "dial", dial_late)
        late = asyncio.ensure_future(get(client, server))
        await asyncio.sleep(0)
        await client.aclose()
        may_dial.set()
        assert await late == (200, b"ok")
        await server.peers[0].gone.wait()


# The fake Google.


async def ask(client, fake, **headers):
    response = await client.request(
        "POST",
        f"{fake.url}/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        {"x-goog-api-key": API_KEYS[0], "content-type": "application/json", **headers},
        b'{"contents":[{"parts":[{"text":"hello"}]}]}',
    )
    try:
        assert response.status == 200
        return response.headers, await everything(response)
    finally:
        response.close()


def replies(body):
    return [json.loads(data) for data in re.findall(rb"data: (.*)\r\n\r\n", body)]


@each_loop
async def test_the_fake_resets_before_it_answers(fake):
    fake.add_api_key(API_KEYS[0])
    async with calling() as client:
        fake.script("reset_before_headers", times=1)
        with pytest.raises(UpstreamUnreachable):
            await ask(client, fake)
        assert replies((await ask(client, fake))[1])


@each_loop
async def test_the_fake_resets_within_its_answer(fake):
    fake.add_api_key(API_KEYS[0])
    async with calling() as client:
        fake.script("reset_mid_stream")
        with pytest.raises(StreamBroken):
            await ask(client, fake)


@each_loop
async def test_the_fake_packs_only_for_those_who_ask(fake):
    fake.add_api_key(API_KEYS[0])
    async with calling() as client:
        fake.script("gzip", times=1)
        headers, body = await ask(client, fake, **{"accept-encoding": "gzip"})
        assert headers["content-encoding"] == "gzip"
        assert replies(body)
        fake.script("gzip", times=1)
        headers, body = await ask(client, fake)
        assert "content-encoding" not in headers
        assert replies(body)


@pytest.mark.parametrize("scenario", ["huge_line", "dribble"])
@each_loop
async def test_the_fake_sends_much_and_little(fake, scenario):
    fake.add_api_key(API_KEYS[0])
    async with calling() as client:
        fake.script(scenario)
        _, body = await ask(client, fake)
        assert replies(body)[-1]["candidates"][0]["finishReason"] == "STOP"
        assert len(body) > (8_000_000 if scenario == "huge_line" else 0)
