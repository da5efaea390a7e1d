"""One connection, fed by hand: what the socket delivers is cut wherever the test wants."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiproxy.http1 import MAX_HEAD_BYTES, MAX_WAITING_BYTES, Connection
from apiproxy.http1_request import Origin
from gateway.lib.errors import StreamBroken, UpstreamTimeout, UpstreamUnreachable

CHUNKED_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
HELLO = b"5\r\nhello\r\n"
WORLD = b"7;a=b\r\n, world\r\n0\r\nx-trailer: 1\r\n\r\n"
CHUNKED = CHUNKED_HEAD + HELLO + WORLD
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-A: b\r\n\r\nhello, world"
UNTIL_EOF = b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello, world"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Wire(asyncio.Transport):
    """Keeps what is written; tells of a close in the next turn of the loop, as a real transport does."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.paused = False
        self.closing = False

    def writelines(self, pieces):
        self.written += b"".join(pieces)

    def get_write_buffer_size(self):
        return self.unsent

    def is_closing(self):
        return self.closing

    def abort(self):
        self.closing = True

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False


def connection():
    siblings = set()
    made = Connection(
        Origin("http", "up.example", 80), asyncio.get_running_loop(), siblings, read_timeout_s=60
    )
    made.connection_made(Wire())
    assert siblings == {made}
    return made


async def asked(made):
    """The request is out; the answer may come."""
    exchange = asyncio.ensure_future(made.exchange(b"HEAD", b"BODY"))
    await asyncio.sleep(0)
    return exchange


async def answered(made, *pieces, closed=False):
    exchange = await asked(made)
    for piece in pieces:
        made.data_received(piece)
    if closed:
        made.connection_lost(None)
    await exchange
    return await rest(made)


async def rest(made):
    pieces = []
    while piece := await made.read():
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("reply", [CHUNKED, SIZED, INTERIM + SIZED, UNTIL_EOF])
@given(cuts=st.sets(st.integers(1, 200)))
def test_the_answer_is_the_same_however_it_is_cut(reply, cuts):
    async def check():
        edges = [0, *sorted(cut for cut in cuts if cut < len(reply)), len(reply)]
        pieces = [reply[a:b] for a, b in zip(edges, edges[1:], strict=False)]
        made = connection()
        assert await answered(made, *pieces, closed=reply is UNTIL_EOF) == b"hello, world"
        assert made.status == 200
        assert "link" not in made.headers
        assert "x-trailer" not in made.headers
        assert made.is_reusable is (reply is not UNTIL_EOF)

    asyncio.run(check())


async def test_the_request_goes_out_as_it_is():
    made = connection()
    await answered(made, SIZED)
    assert made.transport.written == b"HEADBODY"
    assert made.headers == {"content-length": "12", "x-a": "b"}


async def test_pieces_that_come_together_are_read_together():
    made = connection()
    exchange = await asked(made)
    made.data_received(CHUNKED)
    await exchange
    assert await made.read() == b"hello, world"
    assert await made.read() == b""
    assert await made.read() == b""


async def test_a_reader_gets_what_comes_while_it_waits():
    made = connection()
    exchange = await asked(made)
    made.data_received(CHUNKED_HEAD)
    await exchange
    reading = asyncio.ensure_future(made.read())
    await asyncio.sleep(0)
    assert not reading.done()
    made.data_received(HELLO + WORLD)
    assert await reading == b"hello, world"


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body(status):
    made = connection()
    head = b"HTTP/1.1 %d X\r\ncontent-length: 7\r\n\r\n" % status
    assert await answered(made, head if status == 304 else head.replace(b"content-", b"x-")) == b""
    assert made.is_reusable


async def test_one_answer_after_another():
    made = connection()
    for _ in range(3):
        assert await answered(made, CHUNKED) == b"hello, world"
        assert await answered(made, EMPTY) == b""
        assert made.headers == {"content-length": "0"}


@pytest.mark.parametrize(
    "reply",
    [
        SIZED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        SIZED.replace(b"HTTP/1.1", b"HTTP/1.0"),
        SIZED + b"more",
        SIZED + SIZED,
        CHUNKED + b"HTTP/1.1 200",
    ],
)
async def test_answers_after_which_the_connection_is_not_used_again(reply):
    made = connection()
    assert await answered(made, reply) == b"hello, world"
    assert not made.is_reusable


async def test_a_body_that_nobody_has_read_is_in_the_way():
    made = connection()
    exchange = await asked(made)
    made.data_received(SIZED)
    await exchange
    assert not made.is_reusable


async def test_a_request_that_is_still_on_its_way_is_in_the_way():
    made = connection()
    await answered(made, SIZED)
    made.transport.unsent = 1
    assert not made.is_reusable


@pytest.mark.parametrize("fresh", [True, False])
async def test_an_answer_without_a_request_closes_the_connection(fresh):
    made = connection()
    if not fresh:
        await answered(made, SIZED)
    made.data_received(SIZED)
    assert not made.is_open
    assert made.transport.closing
    with pytest.raises(UpstreamUnreachable):
        await made.exchange(b"HEAD", b"BODY")
    assert b"HEAD" not in made.transport.written.removeprefix(b"HEADBODY")


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * MAX_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * (MAX_HEAD_BYTES // 6 + 1),
        INTERIM * (MAX_HEAD_BYTES // len(INTERIM) + 1),
    ],
)
async def test_heads_that_are_no_answer(garbage):
    made = connection()
    with pytest.raises(UpstreamUnreachable) as raised:
        await answered(made, garbage)
    assert raised.value.__cause__ is not None
    assert made.transport.closing


async def test_a_head_is_not_counted_with_its_body():
    made = connection()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (2 * MAX_HEAD_BYTES)
    body = await answered(made, head + bytes(MAX_HEAD_BYTES), bytes(MAX_HEAD_BYTES))
    assert len(body) == 2 * MAX_HEAD_BYTES


async def test_heads_are_counted_one_by_one():
    made = connection()
    start = b"HTTP/1.1 200 OK\r\nx: " + b"a" * (MAX_HEAD_BYTES * 2 // 3)
    for _ in range(3):
        assert await answered(made, start, b"\r\ncontent-length: 0\r\n\r\n") == b""


@pytest.mark.parametrize("lost", [None, ConnectionResetError()])
async def test_no_answer_at_all(lost):
    made = connection()
    exchange = await asked(made)
    made.connection_lost(lost)
    with pytest.raises(UpstreamUnreachable):
        await exchange
    assert not made.heard


@pytest.mark.parametrize("lost", [None, ConnectionResetError()])
@pytest.mark.parametrize("reply", [CHUNKED[:-2], CHUNKED_HEAD + HELLO[:-1], SIZED[:-1]])
async def test_an_answer_that_breaks_off_gives_what_came_and_then_the_error(reply, lost):
    made = connection()
    exchange = await asked(made)
    made.data_received(reply)
    made.connection_lost(lost)
    await exchange
    assert (await made.read()).startswith(b"hello")
    for _ in range(2):
        with pytest.raises(StreamBroken):
            await made.read()
    assert not made.is_reusable


async def test_an_answer_until_the_end_of_the_connection_may_break_off_too():
    made = connection()
    exchange = await asked(made)
    made.data_received(UNTIL_EOF)
    made.connection_lost(ConnectionResetError())
    await exchange
    assert await made.read() == b"hello, world"
    with pytest.raises(StreamBroken):
        await made.read()


async def test_a_broken_chunk_ends_the_answer():
    made = connection()
    exchange = await asked(made)
    made.data_received(CHUNKED_HEAD + HELLO + b"not a size\r\n")
    await exchange
    assert await made.read() == b"hello"
    with pytest.raises(StreamBroken):
        await made.read()
    assert made.transport.closing


async def test_only_who_waits_has_a_deadline():
    made = connection()
    now = asyncio.get_running_loop().time()
    exchange = await asked(made)
    assert now + 60 <= made.deadline <= now + 61
    made.data_received(CHUNKED_HEAD + HELLO)
    await exchange
    assert made.deadline == float("inf")
    await made.read()
    reading = asyncio.ensure_future(made.read())
    await asyncio.sleep(0)
    assert made.deadline < float("inf")
    made.expire()
    with pytest.raises(UpstreamTimeout, match="silent"):
        await reading
    assert made.transport.closing


async def test_a_head_that_drips_does_not_move_its_deadline():
    made = connection()
    exchange = await asked(made)
    deadline = made.deadline
    for number in range(20):
        made.data_received(SIZED[number : number + 1])
        await asyncio.sleep(0)
    assert made.deadline == deadline
    made.expire()
    with pytest.raises(UpstreamTimeout, match="in time"):
        await exchange


async def test_a_slow_reader_holds_the_upstream_back():
    made = connection()
    exchange = await asked(made)
    made.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (3 * MAX_WAITING_BYTES))
    await exchange
    while not made.transport.paused:
        made.data_received(bytes(100_000))
    assert await made.read()
    assert made.transport.paused, "there is still enough to read"
    while made.transport.paused:
        assert len(await made.read()) <= 200_000
    reading = asyncio.ensure_future(made.read())
    await asyncio.sleep(0)
    assert not reading.done(), "reading goes on when all is read"
    reading.cancel()


async def test_a_reader_that_was_cancelled_may_come_back():
    made = connection()
    exchange = await asked(made)
    made.data_received(CHUNKED_HEAD)
    await exchange
    reading = asyncio.ensure_future(made.read())
    await asyncio.sleep(0)
    reading.cancel()
    made.data_received(HELLO + WORLD)
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await rest(made) == b"hello, world"
    assert made.is_reusable


async def test_a_caller_that_is_cancelled_closes_the_connection():
    made = connection()
    exchange = await asked(made)
    exchange.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange
    assert made.transport.closing


async def test_what_came_before_the_encryption_does_not_count():
    made = connection()
    exchange = await asked(made)
    made.data_received(b"HTTP/1.1 200 OK\r\n\r\ninjected")
    await exchange
    made.connection_made(Wire())
    assert await answered(made, SIZED) == b"hello, world"
