"""Several upstream calls for one answer."""

from __future__ import annotations

import asyncio

import pytest

from apiproxy.gathered import gather
from apiproxy.wire.types import Action
from gateway.lib.errors import UpstreamFailed
from tests.apiproxy.providers.helpers import make_call


class Source:
    """A reply in two pieces."""

    def __init__(self, *replies):
        self.first = [replies[0]]
        self._rest = [list(replies[1:])] if replies[1:] else []
        self.closed = False

    async def more(self):
        return self._rest.pop() if self._rest else []

    def close(self):
        self.closed = True


def pictures(count):
    call = make_call()
    call.answers = count
    return call


def embeddings(count):
    requests = [{"content": {"parts": [{"text": str(number)}]}} for number in range(count)]
    call = make_call({"requests": requests}, action=Action.EMBED)
    call.answers = -(-count // 100)
    return call


def picture(tokens=0):
    reply = {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "x"}]}}]}
    return {**reply, "usageMetadata": {"promptTokenCount": tokens}} if tokens else reply


async def test_every_picture_is_a_reply_and_the_last_counts_for_all():
    opened = []

    async def open_one(call):
        assert call.answers == 1
        opened.append(Source(picture(), picture(5)))
        return opened[-1]

    source = await gather(open_one, pictures(3))
    assert [len(reply["candidates"][0]["content"]["parts"]) for reply in source.first] == [2, 2, 2]
    assert [reply.get("usageMetadata") for reply in source.first] == [
        None,
        None,
        {"promptTokenCount": 15},
    ]
    assert await source.more() == []
    assert all(one.closed for one in opened)


async def test_pictures_are_worth_having_without_the_others():
    calls = iter(range(3))

    async def open_one(call):
        if next(calls) == 1:
            raise UpstreamFailed("the second")
        return Source(picture())

    call = pictures(3)
    assert len((await gather(open_one, call)).first) == 2
    assert call.dropped == ["one of 3 upstream calls failed: the second"]


async def test_nothing_at_all_is_the_first_error():
    calls = iter(range(3))

    async def open_one(call):
        raise UpstreamFailed(f"number {next(calls)}")

    with pytest.raises(UpstreamFailed, match="number 0"):
        await gather(open_one, pictures(3))


async def test_embeddings_come_together_in_order_and_none_may_be_missing():
    async def open_one(call):
        texts = [one["content"]["parts"][0]["text"] for one in call.body["requests"]]
        # The later a batch was sent, the sooner it is back.
        for _ in range(3 - int(texts[0]) // 100):
            await asyncio.sleep(0)
        return Source({"embeddings": [{"values": [float(text)]} for text in texts]})

    [reply] = (await gather(open_one, embeddings(250))).first
    assert [one["values"][0] for one in reply["embeddings"]] == list(range(250))

    async def open_but_the_last(call):
        if len(call.body["requests"]) < 100:
            raise UpstreamFailed("the last")
        return await open_one(call)

    with pytest.raises(UpstreamFailed, match="the last"):
        await gather(open_but_the_last, embeddings(250))


async def test_once_a_batch_of_embeddings_failed_no_further_one_is_sent():
    opened = []

    async def open_one(call):
        opened.append(call)
        await asyncio.sleep(0)
        raise UpstreamFailed("no")

    with pytest.raises(UpstreamFailed):
        await gather(open_one, embeddings(2048))
    assert len(opened) == 10


async def test_a_client_that_leaves_ends_them_all():
    began, left = asyncio.Event(), []

    async def open_one(call):
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.append(call)

    task = asyncio.ensure_future(gather(open_one, pictures(4)))
    await began.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(left) == 4


async def test_not_all_go_out_at_once():
    running, most = 0, 0

    async def open_one(call):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        texts = call.body["requests"]
        return Source({"embeddings": [{"values": [1.0]}] * len(texts)})

    await gather(open_one, embeddings(2048))
    assert most == 10


async def test_what_one_upstream_call_changes_is_not_the_others():
    """A repair is made on the call that was refused; one that had already been sent needs its own."""
    calls = []

    async def open_one(call):
        calls.append(call)
        return Source(picture())

    await gather(open_one, pictures(3))
    assert len({id(call) for call in calls}) == 3
