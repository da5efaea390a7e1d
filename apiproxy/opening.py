"""From a call to the answer it is served from: one upstream answer as it comes, or what a variant makes of several."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from msgspec.structs import replace

from apiproxy.continued import Continued
from apiproxy.fake_stream import cut
from apiproxy.gathered import gather
from apiproxy.relay import Relay
from apiproxy.source import Opener, Source
from apiproxy.trace import Trace
from apiproxy.wire.types import Call, Json


async def open_answer(relay: Relay, call: Call, trace: Trace, *, compatibility: bool) -> Source:
    """Raises the GatewayError that fits the last verdict, when nobody answered."""
    if call.answers == call.attempts == 1 and not call.model.variant.fake_stream:
        return await relay.open(call, trace)
    if call.answers > 1:
        return await gather(_opener(relay, call, trace), call)
    if call.attempts > 1:
        continued = Continued(_opener(relay, call, trace), call, compatibility=compatibility)
        await continued.start()
        return continued
    return await _opener(relay, call, trace)(call)


def _opener(relay: Relay, call: Call, trace: Trace) -> Opener:
    async def as_it_comes(one: Call) -> Source:
        return await relay.open(one, trace)

    async def in_pieces(one: Call) -> Source:
        whole = await relay.open(replace(one, stream=False), trace)
        try:
            replies = list(whole.first)
            while batch := await whole.more():
                replies += batch
        finally:
            whole.close()
        return _Pieces(piece for reply in replies for piece in cut(reply))

    return in_pieces if call.stream and call.model.variant.fake_stream else as_it_comes


class _Pieces:
    """A whole answer, a piece at a time."""

    def __init__(self, pieces: Iterator[Json]) -> None:
        self._pieces = pieces
        self.first = [next(pieces)]

    async def more(self) -> list[Json]:
        # Others get their turn, and a client that left is noticed.
        await asyncio.sleep(0)
        return [piece] if (piece := next(self._pieces, None)) is not None else []

    def close(self) -> None:
        """The upstream has been left already."""
