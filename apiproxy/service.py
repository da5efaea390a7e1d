"""One admitted call from its reservation to its charge. It is closed exactly once, whatever happens.

A charge is booked before the last byte goes out: a client that got its whole answer has paid for it, even if this
process is killed right afterwards. What is killed before that is refunded by the sweep.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator
from time import perf_counter
from typing import Any

from apiproxy import signatures
from apiproxy.admission import Hold, Outcome, Principal, charge_of
from apiproxy.dialects.base import Dialect, StreamRenderer
from apiproxy.opening import open_answer
from apiproxy.request import JSON, Headers, Reply, StreamReply
from apiproxy.runtime import Runtime
from apiproxy.trace import Trace
from apiproxy.wire.thoughts import without_thoughts
from apiproxy.wire.types import Action, Call, Usage
from apiproxy.wire.usage import delivers, finished, usage_of
from gateway.lib.credits import to_text
from gateway.lib.errors import ClientGone, GatewayError, InternalError
from quotas.ledger import Booked

logger = logging.getLogger(__name__)

Json = dict[str, Any]


class Service:
    __slots__ = (
        "_call",
        "_complete",
        "_delivered",
        "_finished",
        "_hold",
        "_native",
        "_principal",
        "_remaining_micros",
        "_runtime",
        "_started",
        "_trace",
        "_usage_reply",
    )

    def __init__(self, runtime: Runtime, trace: Trace) -> None:
        self._runtime = runtime
        self._trace = trace
        self._principal: Principal
        self._call: Call
        self._native = False
        self._hold: Hold | None = None
        self._usage_reply: Json | None = None
        self._delivered = False
        self._complete = False
        self._started = False
        self._finished = False
        self._remaining_micros: int | None = None

    def admit(self, principal: Principal, call: Call, dialect: str) -> None:
        self._principal = principal
        self._call = call
        self._native = dialect == "gemini"
        call.chat_images = self._runtime.config.chat_images
        trace = self._trace
        trace.dialect = dialect
        trace.action = call.action.value
        trace.model = call.model.id
        trace.requested_model = call.requested_model
        trace.stream = call.stream
        trace.dropped = call.dropped

    async def reserve(self, body_bytes: int) -> None:
        """Counting tokens is free. Raises QuotaExhausted, LedgerUnavailable."""
        if self._call.action is Action.GENERATE:
            admission = self._runtime.admission
            self._hold = await admission.reserve(self._principal, self._call, body_bytes)
            if self._hold is not None:
                self._remaining_micros = self._hold.remaining_micros

    async def whole(self, dialect: Dialect) -> Reply:
        await self._prepare()
        opened = await open_answer(self._runtime.relay, self._call, self._trace)
        try:
            replies = self._see(opened.first)
            while batch := await opened.more():
                replies.extend(self._see(batch))
        finally:
            opened.close()
        body = dialect.render(self._call, replies)
        self._trace.first_byte_ms = self._elapsed_ms()
        self._delivered = any(map(delivers, replies))
        await self._close("answered" if self._delivered else "the answer was empty")
        return Reply(200, [JSON, *self._money_headers()], body)

    def stream(self, dialect: Dialect) -> StreamReply:
        renderer = dialect.stream(self._call)
        headers = [*dialect.stream_headers(self._call), *self._money_headers()]
        return StreamReply(headers, renderer.keepalive, self._pieces(renderer), renderer.error)

    async def _pieces(self, renderer: StreamRenderer) -> AsyncGenerator[bytes, None]:
        feed = renderer.feed
        opened = None
        try:
            await self._prepare()
            opened = await open_answer(self._runtime.relay, self._call, self._trace)
            batch = opened.first
            while batch:
                replies = self._see(batch)
                delivering = self._delivered or any(map(delivers, replies))
                if piece := b"".join(map(feed, replies)):
                    if self._trace.first_byte_ms is None:
                        self._trace.first_byte_ms = self._elapsed_ms()
                    yield piece
                    self._started = True
                    self._delivered = delivering
                batch = await opened.more()
            closing = renderer.close(self._usage())
            if self._delivered and not self._complete:
                self._trace.error = "the upstream ended its answer without finishing it"
                await self._close(self._trace.error, broken=True)
            else:
                await self._close("answered" if self._delivered else "the answer was empty")
            yield closing
        except GatewayError as error:
            await self.fail(error)
            raise
        except BaseException as failure:
            self.give_up(failure)
            raise
        finally:
            if opened is not None:
                opened.close()

    async def fail(self, error: GatewayError) -> None:
        """The call ends with an error; what was delivered before it is charged by its tokens alone."""
        self._note(error)
        await self._close(f"failed: {error.code}", broken=True)

    def give_up(self, failure: BaseException) -> None:
        """The client left, or there is a bug here. Nobody waits for the booking."""
        if self._finished:
            return
        if isinstance(failure, asyncio.CancelledError | GeneratorExit):
            self._note(ClientGone("the client left before the answer was complete"))
            # Its own choice: from the first byte on, be it a thought, it has had its call.
            self._delivered = self._started
            self._book("the client left", broken=False)
        else:
            logger.error("request %s failed", self._trace.request_id, exc_info=failure)
            self._note(InternalError("an error of this gateway"))
            self._book("failed: internal_error", broken=True)
        self._finish()

    async def _prepare(self) -> None:
        call = self._call
        if call.remote_parts:
            await self._runtime.media.inline(call.remote_parts)
        if not self._native and call.action is Action.GENERATE:
            cache = self._runtime.signatures
            key_id = self._principal.key_id
            signatures.restore(
                call.body,
                lambda call_id: cache.get((key_id, call_id)),
                strict=call.model.strict_signatures,
            )

    def _see(self, replies: list[Json]) -> list[Json]:
        """Note usage and signatures, leave out what the operator hides."""
        for reply in replies:
            if "usageMetadata" in reply:
                self._usage_reply = reply
            if not self._complete:
                self._complete = finished(reply)
        if not self._native:
            cache, key_id = self._runtime.signatures, self._principal.key_id
            for reply in replies:
                for call_id, signature in signatures.harvest(reply, _new_call_id):
                    cache[(key_id, call_id)] = signature
        if not self._runtime.config.show_thoughts:
            return [without_thoughts(reply) for reply in replies]
        return replies

    def _usage(self) -> Usage:
        return (self._usage_reply and usage_of(self._usage_reply)) or Usage()

    async def _close(self, reason: str, *, broken: bool = False) -> None:
        """Book the charge or the refund, wait until it stands, and write the log row."""
        booking = self._book(reason, broken=broken)
        if booking is not None:
            booked = await booking
            if booked.accepted:
                self._trace.cost_micros = booked.amount_micros
                self._remaining_micros = booked.remaining_micros
        self._finish()

    def _book(self, reason: str, *, broken: bool) -> asyncio.Future[Booked] | None:
        """None when nothing was reserved, or when it is booked already."""
        hold, self._hold = self._hold, None
        if hold is None:
            return None
        outcome = Outcome(self._delivered, self._usage(), broken, reason)
        self._trace.cost_micros = charge_of(hold.price, outcome)
        return self._runtime.admission.settle(hold, outcome)

    def _note(self, error: GatewayError) -> None:
        trace = self._trace
        trace.status, trace.error_code, trace.error = error.status, error.code, error.message

    def _finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        self._trace.usage = self._usage()
        self._trace.duration_ms = self._elapsed_ms()
        self._runtime.recorder.finished(self._trace)

    def _elapsed_ms(self) -> int:
        return int((perf_counter() - self._trace.started) * 1000)

    def _money_headers(self) -> Headers:
        """What is left as of the reservation or, once it is booked, the charge."""
        if self._remaining_micros is None:
            return []
        return [(b"x-credits-remaining", to_text(self._remaining_micros).encode())]


def _new_call_id() -> str:
    return f"call_{secrets.token_hex(12)}"
