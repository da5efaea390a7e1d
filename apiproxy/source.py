"""What an answer is served from, whatever it is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from apiproxy.wire.types import Call, Json


class Source(Protocol):
    """Canonical replies. `first` are those up to the first content; `more` gives the others, [] at the end.

    `close` may be called at any time and more than once; an upstream that still talks is left.
    """

    first: list[Json]

    async def more(self) -> list[Json]: ...
    def close(self) -> None: ...


Opener = Callable[[Call], Awaitable[Source]]
"""Raises the GatewayError that fits the last verdict, when nobody answered."""
