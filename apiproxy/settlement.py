"""What becomes of one call's reservation: a charge or a refund, booked exactly once, whatever happens.

A charge is booked before the last byte goes out: a client that got its whole answer has paid for it, even if this
process is killed right afterwards. What is killed before that is refunded by the sweep.
"""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter, time

from apiproxy.admission import Hold, Outcome, Principal, charge_of, credits_left
from apiproxy.dialects.embeddings import input_tokens
from apiproxy.idempotency import Claim, ending
from apiproxy.idempotency import Kept as KeptAnswer
from apiproxy.pacing import Ticket
from apiproxy.rate_headers import of_granted
from apiproxy.request import Headers
from apiproxy.runtime import Runtime
from apiproxy.trace import Trace
from apiproxy.wire.types import Action, Call, Json, Usage
from apiproxy.wire.usage import finished, usage_of
from gateway.lib.errors import (
    ClientGone,
    GatewayError,
    InternalError,
    LedgerUnavailable,
    QuotaExhausted,
)
from quotas.ledger import Booked

logger = logging.getLogger(__name__)

_NOT_ADMITTED = frozenset({QuotaExhausted.code, LedgerUnavailable.code})


class Settlement:
    __slots__ = (
        "_claim",
        "_complete",
        "_finished",
        "_hold",
        "_input_tokens",
        "_kept",
        "_pace",
        "_remaining_micros",
        "_reserved_micros",
        "_runtime",
        "_trace",
        "_usage_reply",
        "answers",
        "delivered",
        "started",
    )

    def __init__(self, runtime: Runtime, trace: Trace) -> None:
        self._runtime = runtime
        self._trace = trace
        self._hold: Hold | None = None
        self._reserved_micros = 0
        self._remaining_micros: int | None = None
        self._usage_reply: Json | None = None
        self._input_tokens = 0
        self._pace: Ticket | None = None
        self._claim: Claim | None = None
        self._kept: KeptAnswer | None = None
        self._complete = False
        self._finished = False
        self.started = False
        """The client has got something, be it a thought."""
        self.delivered = False
        """It has got something that counts as an answer."""
        self.answers = 1
        """How many answers that are charged one by one it has got."""

    def passed(self, pace: Ticket) -> None:
        """The call counts in these windows until it is over."""
        self._pace = pace

    def claimed(self, claim: Claim) -> None:
        """The call has an Idempotency-Key, which is let go or kept with its booking."""
        self._claim = claim

    def keep(self, kept: KeptAnswer) -> None:
        """The whole answer as it is given, for repeats."""
        self._kept = kept

    async def reserve(self, principal: Principal, call: Call, body_bytes: int) -> None:
        """Counting tokens is free. Raises QuotaExhausted, LedgerUnavailable."""
        if call.action is Action.COUNT_TOKENS:
            return
        if call.action is Action.EMBED:
            self._input_tokens = input_tokens(call.body)
        self._hold = await self._runtime.admission.reserve(principal, call, body_bytes)
        if self._hold is not None:
            self._reserved_micros = self._hold.reserved_micros
            self._remaining_micros = self._hold.remaining_micros

    def see(self, replies: list[Json]) -> None:
        """Note the usage, and whether the upstream has come to its end."""
        for reply in replies:
            if "usageMetadata" in reply:
                self._usage_reply = reply
            if not self._complete:
                self._complete = finished(reply)

    def usage(self) -> Usage:
        """As the upstream counts it; embeddings have no count and are estimated."""
        if self._usage_reply is None and self.delivered and self._input_tokens:
            return Usage(input_tokens=self._input_tokens)
        return (self._usage_reply and usage_of(self._usage_reply)) or Usage()

    def headers(self) -> Headers:
        """What is left as of the reservation or, once it is booked, the charge."""
        headers = self._pace_headers()
        if self._remaining_micros is not None:
            headers.append(credits_left(self._remaining_micros))
        return headers

    def _pace_headers(self) -> Headers:
        """What was left of the requests and tokens of a while when the call passed."""
        if self._pace is None:
            return []
        return of_granted(self._pace.granted, self._trace.dialect, time())

    def first_byte(self) -> None:
        if self._trace.first_byte_ms is None:
            self._trace.first_byte_ms = self._elapsed_ms()

    async def answered(self) -> None:
        if not self.delivered:
            self._kept = None
        await self._close("answered" if self.delivered else "the answer was empty")

    async def streamed(self) -> None:
        if self.delivered and not self._complete:
            self._kept = None
            self._trace.error = "the upstream ended its answer without finishing it"
            await self._close(self._trace.error, broken=True)
        else:
            await self.answered()

    async def fail(self, error: GatewayError) -> None:
        """The call ends with an error; what was delivered before it is charged by its tokens alone."""
        self._note(error)
        self._kept = None
        try:
            await self._close(f"failed: {error.code}", broken=True)
        finally:
            # Also when the client leaves while the booking is waited for.
            self._finish()

    def give_up(self, failure: BaseException) -> None:
        """The client left, or there is a bug here. Nobody waits for the booking."""
        if self._finished:
            return
        self._kept = None
        if isinstance(failure, asyncio.CancelledError | GeneratorExit):
            self._note(ClientGone("the client left before the answer was complete"))
            # Its own choice: from the first byte on, be it a thought, it has had its call.
            self.delivered = self.started
            booking = self._book("the client left", broken=False)
        else:
            logger.error("request %s failed", self._trace.request_id, exc_info=failure)
            self._note(InternalError("an error of this gateway"))
            booking = self._book("failed: internal_error", broken=True)
        if booking is None or self._trace.cost_micros <= self._reserved_micros:
            self._finish()
        else:
            # How much of it the balance can pay is known once it is booked.
            booking.add_done_callback(self._booked)

    async def _close(self, reason: str, *, broken: bool = False) -> None:
        """Book the charge or the refund, wait until it stands, and write the log row."""
        booking = self._book(reason, broken=broken)
        if booking is not None:
            await booking
            self._booked(booking)
        else:
            self._finish()

    def _booked(self, booking: asyncio.Future[Booked]) -> None:
        booked = booking.result()
        if booked.accepted:
            self._trace.cost_micros = booked.amount_micros
            self._remaining_micros = booked.remaining_micros
        self._finish()

    def _book(self, reason: str, *, broken: bool) -> asyncio.Future[Booked] | None:
        """None when nothing was reserved, or when it is booked already."""
        hold, self._hold = self._hold, None
        claim, self._claim = self._claim, None
        if hold is None:
            if claim is None:
                return None
            return self._runtime.idempotency.end(claim, self._kept)
        outcome = Outcome(self.delivered, self.usage(), broken, reason, self.answers)
        self._trace.broken = broken
        self._trace.cost_micros = charge_of(hold.price, outcome)
        if claim is None:
            return self._runtime.admission.settle(hold, outcome)
        also = ending(claim, self._kept, self._trace.cost_micros > 0)
        return self._runtime.admission.settle(hold, outcome, also)

    def _note(self, error: GatewayError) -> None:
        trace = self._trace
        trace.status, trace.error_code, trace.error = error.status, error.code, error.message

    def _finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        self._trace.usage = self.usage()
        self._trace.answers = self.answers if self.delivered else 0
        self._trace.duration_ms = self._elapsed_ms()
        self._runtime.recorder.finished(self._trace)
        if self._pace is not None:
            usage = self._trace.usage
            self._runtime.pacing.release(
                self._pace,
                tokens=usage.input_tokens + usage.output_tokens + usage.thinking_tokens,
                # Who could not pay has not called.
                undone=self._trace.error_code in _NOT_ADMITTED,
            )

    def _elapsed_ms(self) -> int:
        return int((perf_counter() - self._trace.started) * 1000)
