"""One attempt at an upstream: the lease it uses and, once the upstream answers, the answer as it comes."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Protocol

from apiproxy.blame import EMPTY, Judged, error_of, network_verdict
from apiproxy.permits import NONE_NEEDED
from apiproxy.pool import Lease
from apiproxy.providers.base import Decoder, Provider
from apiproxy.trace import Attempt
from apiproxy.transport import Response
from apiproxy.wire import codec
from apiproxy.wire.types import OK, Action, Answer, Call, Verdict
from apiproxy.wire.usage import delivers
from credentials.services.permits import Permit
from gateway.lib.errors import StreamBroken, UpstreamTimeout

Json = dict[str, Any]


class Referee(Protocol):
    """Judges answers, and hears how an attempt ended."""

    def judge(self, opened: Opened, answer: Answer) -> Verdict: ...
    def finish(self, opened: Opened, verdict: Verdict | None) -> None: ...
    def now(self) -> float: ...


class Opened:
    """It holds the lease until `end`. `first` are the replies up to the first content; `more` gives the others."""

    __slots__ = (
        "_broken",
        "_decoder",
        "_drained",
        "_ended",
        "_referee",
        "_response",
        "_started",
        "attempt",
        "call",
        "first",
        "lease",
        "permit",
        "provider",
        "request_id",
    )

    def __init__(
        self,
        referee: Referee,
        call: Call,
        lease: Lease,
        attempt: Attempt,
        request_id: str,
        permit: Permit = NONE_NEEDED,
    ) -> None:
        self._referee = referee
        self._started = perf_counter()
        self._response: Response | None = None
        self._decoder: Decoder | None = None
        self._broken: Verdict | None = None
        self._drained = False
        self._ended = False
        self.provider: Provider
        """Who asks the upstream knows it."""
        self.call = call
        self.lease = lease
        self.attempt = attempt
        self.permit = permit
        self.request_id = request_id
        self.first: list[Json] = []

    async def answer(self, response: Response) -> None:
        """Take a 200 and read up to its first content; raises Judged when there is none."""
        self._response = response
        self._decoder = self.provider.decoder(self.call)
        replies: list[Json] = []
        while batch := await self.more():
            replies += batch
            if self._says_something(batch):
                self.first = replies
                return
        raise Judged(EMPTY)

    def _says_something(self, batch: list[Json]) -> bool:
        if self.call.action is Action.COUNT_TOKENS:
            return True
        if self.call.action is Action.EMBED:
            return any(map(delivers, batch))
        return any("candidates" in reply or "promptFeedback" in reply for reply in batch)

    async def more(self) -> list[Json]:
        """The next replies; [] at the end, which ends the attempt well.

        What breaks the answer raises Judged before its first content, and the GatewayError that fits afterwards.
        """
        response, decoder = self._response, self._decoder
        if response is None or decoder is None:
            return []
        while not self._drained:
            try:
                data = await response.read()
            except (StreamBroken, UpstreamTimeout) as exc:
                raise self._failure(network_verdict(exc)) from exc
            if data:
                replies = decoder.feed(data)
            else:
                self._drained = True
                replies = decoder.close()
            for reply in replies:
                if "error" in reply:
                    replies = self._up_to_error(replies)
                    break
            if replies:
                return replies
        if self._broken is not None:
            raise self._failure(self._broken)
        if self.first:
            self.end(OK)
        return []

    def _up_to_error(self, replies: list[Json]) -> list[Json]:
        """An error object inside a 200 is judged as the same HTTP error; what came before it is content all the same."""
        position = next(n for n, reply in enumerate(replies) if "error" in reply)
        error = replies[position]["error"]
        code = error.get("code") if isinstance(error, dict) else None
        answer = Answer(
            status=code if isinstance(code, int) and 400 <= code < 600 else 502,
            headers={},
            body=codec.encode(replies[position]),
            received_at=self._referee.now(),
            model=self.call.model.id,
        )
        self.attempt.status = answer.status
        self._broken = self._referee.judge(self, answer)
        self._drained = True
        return replies[:position]

    def _failure(self, verdict: Verdict) -> Exception:
        if not self.first:
            return Judged(verdict)
        self.end(verdict)
        return error_of(verdict, self.call, 0.0)

    def end(self, verdict: Verdict | None) -> None:
        """None: nothing was learned of the credential. Closes an upstream that still talks. May be called twice."""
        if self._ended:
            return
        self._ended = True
        self.attempt.ms = int((perf_counter() - self._started) * 1000)
        if self._response is not None:
            self._response.close()
        self._referee.finish(self, verdict)

    def close(self) -> None:
        self.end(None)
