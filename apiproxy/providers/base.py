"""What a provider module offers. A module is the plug-in: its functions satisfy `Provider`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol

from apiproxy.wire.types import Answer, Call, Credential, Endpoints, Outgoing, Verdict

Json = dict[str, Any]

Exchange = Generator[Outgoing, Answer, Outgoing]
"""Yields each preparatory request, is sent its answer, returns the request whose answer is relayed. No I/O."""


class Decoder(Protocol):
    """Upstream bytes -> canonical Gemini replies (envelopes removed).

    An error object inside a 200 answer comes out as a reply whose only key is "error". For a call without `stream`
    the whole body is fed and `close` gives its one reply. Neither method raises on what an upstream may send: an
    unreadable body comes out as {"error": {"code": 502, …}}.
    """

    def feed(self, data: bytes) -> list[Json]: ...
    def close(self) -> list[Json]: ...


class Provider(Protocol):
    """A module may also say `STICKY = True`: its upstream keeps the conversation, so all calls of one should come with
    the same credential."""

    def exchange(self, call: Call, credential: Credential, endpoints: Endpoints) -> Exchange: ...
    def decoder(self, call: Call) -> Decoder: ...
    def classify(self, answer: Answer) -> Verdict: ...


def is_sticky(provider: Provider) -> bool:
    return getattr(provider, "STICKY", False)
