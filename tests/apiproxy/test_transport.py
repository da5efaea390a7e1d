"""The sender against the fake, and the sandbox's plays."""

from __future__ import annotations

import asyncio

import pytest

from apiproxy.transport import read_all
from apiproxy.wire.types import Outgoing
from gateway.lib.errors import StreamBroken, UpstreamUnreachable
from tests.apiproxy.conftest import API_KEYS


@pytest.fixture
async def transport(edge, lent):
    return edge.runtime.transport


def outgoing(fake, *, stream=False):
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return Outgoing(
        "POST",
        f"{fake.url}/v1beta/models/gemini-2.5-flash:{method}",
        {"x-goog-api-key": API_KEYS[0], "content-type": "application/json"},
        b'{"contents":[{"parts":[{"text":"hi"}]}]}',
        stream,
    )


async def test_a_whole_answer(transport, fake):
    answer = await transport.fetch(outgoing(fake), "m")
    assert (answer.status, answer.model) == (200, "m")
    assert b"candidates" in answer.body


async def test_connections_are_used_again(transport, fake):
    for _ in range(3):
        await transport.fetch(outgoing(fake))
    assert len({record.peer for record in fake.calls()}) == 1


async def test_an_answer_that_is_not_read_to_its_end_is_closed(transport, fake):
    fake.script("slow", interval_s=0.05, count=100)
    response = await transport.send(outgoing(fake, stream=True))
    await response.read()
    response.close()
    [record] = fake.calls()
    await asyncio.to_thread(fake.wait_disconnected, record)


async def test_gzip_is_opened(transport, fake):
    fake.script("gzip")
    assert b"candidates" in (await transport.fetch(outgoing(fake))).body


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(transport, fake):
    fake.script("reset_mid_stream")
    response = await transport.send(outgoing(fake, stream=True))
    with pytest.raises(StreamBroken):
        await read_all(response, 10**9)
    response.close()


async def test_an_answer_without_end_is_cut(transport, fake):
    response = await transport.send(outgoing(fake, stream=True))
    with pytest.raises(StreamBroken, match="too large"):
        await read_all(response, 1)
    response.close()


async def test_nobody_there_is_said_without_an_address(transport, unused_tcp_port):
    request = Outgoing("GET", f"http://127.0.0.1:{unused_tcp_port}/", {})
    with pytest.raises(UpstreamUnreachable) as raised:
        await transport.send(request)
    assert "127.0.0.1" not in raised.value.message


async def test_the_body_of_a_broken_error_is_empty(transport, fake):
    fake.script("error", error="server", reset_at="middle")
    response = await transport.send(outgoing(fake))
    answer = await transport.error_answer(response, "m")
    assert answer.status == 500
