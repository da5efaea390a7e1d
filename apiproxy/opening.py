"""From a call to the answer it is served from: one upstream answer as it comes, or what a variant makes of several."""

from __future__ import annotations

from typing import Any, Protocol

from apiproxy.relay import Relay
from apiproxy.trace import Trace
from apiproxy.wire.types import Call

Json = dict[str, Any]


class Source(Protocol):
    """Canonical replies. `first` are those up to the first content; `more` gives the others, [] at the end.

    `close` may be called at any time and more than once; an upstream that still talks is left.
    """

    first: list[Json]

    async def more(self) -> list[Json]: ...
    def close(self) -> None: ...


async def open_answer(relay: Relay, call: Call, trace: Trace) -> Source:
    """Raises the GatewayError that fits the last verdict, when nobody answered."""
    return await relay.open(call, trace)
