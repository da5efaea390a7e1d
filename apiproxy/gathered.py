"""An answer made of several upstream calls at once: models draw one picture a call, and a batch of embeddings is limited."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from msgspec.structs import replace

from apiproxy.dialects.embeddings import BATCH_LIMIT
from apiproxy.dialects.replies import merge
from apiproxy.source import Opener, Source
from apiproxy.truncation import total
from apiproxy.wire.types import Action, Call, Json
from gateway.lib.errors import GatewayError

_AT_ONCE = 10


class Gathered:
    """Everything is here when it is made."""

    def __init__(self, replies: list[Json]) -> None:
        self.first = replies

    async def more(self) -> list[Json]:
        return []

    def close(self) -> None:
        pass


async def gather(open_one: Opener, call: Call) -> Gathered:
    """One reply for each upstream call that was answered, the counts of all on the last; embeddings as one reply.

    Pictures are worth having without the others; of embeddings none may be missing. Raises the GatewayError of the
    first upstream call that failed.
    """
    limit = asyncio.Semaphore(_AT_ONCE)
    embedding = call.action is Action.EMBED
    errors: list[GatewayError] = []

    async def ask(one: Call) -> Json | None:
        async with limit:
            if embedding and errors:
                return None
            try:
                return await _whole(await open_one(one))
            except GatewayError as error:
                errors.append(error)
                return None

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(one)) for one in _split(call)]
    replies = [reply for task in tasks if (reply := task.result()) is not None]
    if errors and (embedding or not replies):
        raise errors[0]
    call.dropped += [f"one of {len(tasks)} upstream calls failed: {e.message}" for e in errors]
    _add_up(replies)
    return Gathered([_joined(replies)] if embedding else replies)


def _split(call: Call) -> Iterator[Call]:
    if call.action is not Action.EMBED:
        for _ in range(call.answers):
            yield replace(call, answers=1)
        return
    requests = call.body["requests"]
    for start in range(0, len(requests), BATCH_LIMIT):
        body = {**call.body, "requests": requests[start : start + BATCH_LIMIT]}
        yield replace(call, answers=1, body=body)


async def _whole(source: Source) -> Json:
    try:
        replies = source.first
        while batch := await source.more():
            replies = replies + batch
    finally:
        source.close()
    return merge(replies)


def _add_up(replies: list[Json]) -> None:
    counted: Json = {}
    for reply in replies:
        counts = reply.pop("usageMetadata", None)
        if isinstance(counts, dict):
            counted = total(counted, counts)
    if counted:
        replies[-1]["usageMetadata"] = counted


def _joined(replies: list[Json]) -> Json:
    embeddings = [one for reply in replies for one in reply.get("embeddings") or ()]
    return {**replies[-1], "embeddings": embeddings}
