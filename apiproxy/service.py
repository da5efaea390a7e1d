"""One admitted call from its request to its answer, whole or streamed."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from time import perf_counter, time
from typing import Any

from apiproxy import signatures
from apiproxy.admission import Principal, tokens_of
from apiproxy.dialects.base import Dialect, StreamRenderer
from apiproxy.idempotency import Claim, Recording, Replay
from apiproxy.opening import open_answer
from apiproxy.origin import origin_of
from apiproxy.rate_headers import of_refused
from apiproxy.request import JSON, Headers, Reply, Request, StreamReply
from apiproxy.runtime import Runtime
from apiproxy.settlement import Settlement
from apiproxy.shaping import features, shape
from apiproxy.source import Source
from apiproxy.trace import Trace
from apiproxy.waiting import TooFast
from apiproxy.wire.thoughts import without_thoughts
from apiproxy.wire.types import Action, Call, Kept
from apiproxy.wire.usage import delivers, draws
from gateway.lib.errors import GatewayError
from quotas.limiter import Refused, Take

Json = dict[str, Any]


# Chats, whose pictures stand in a text: a data: URL there is a burden to carry on.
_LINKING = frozenset({"openai-chat", "anthropic-messages"})


class Service:
    __slots__ = (
        "_body_bytes",
        "_call",
        "_native",
        "_origin",
        "_principal",
        "_recorded",
        "_request",
        "_runtime",
        "_settlement",
        "_trace",
        "_turn",
    )

    def __init__(self, runtime: Runtime, trace: Trace, request: Request) -> None:
        self._runtime = runtime
        self._trace = trace
        self._request = request
        self._principal: Principal
        self._call: Call
        self._native = False
        self._origin = ""
        self._body_bytes = 0
        self._turn: tuple[Take, Refused] | None = None
        """What it has to wait for before it is admitted."""
        self._recorded: Recording | None = None
        """The answer, for repeats with the same Idempotency-Key."""
        self._settlement = Settlement(runtime, trace)

    def admit(self, principal: Principal, call: Call, dialect: str) -> None:
        self._principal = principal
        self._call = call
        self._native = dialect == "gemini"
        config = self._runtime.config
        call.chat_images = config.chat_images
        if dialect in _LINKING and "image_output" in call.model.capabilities:
            call.image_delivery = config.chat_image_delivery
        shape(call, config.site)
        trace = self._trace
        trace.dialect = dialect
        trace.action = call.action.value
        trace.model = call.model.id
        trace.requested_model = call.requested_model
        trace.features = features(call)
        trace.stream = call.stream
        trace.dropped = call.dropped

    async def claim(self, body: bytes) -> Reply | None:
        """With an Idempotency-Key: the answer, where the call was made before; else this one has the key now. Raises what
        `Idempotency.begin` does."""
        if self._call.action is Action.COUNT_TOKENS:
            return None
        found = await self._runtime.idempotency.begin(self._request, self._principal.key_id, body)
        if isinstance(found, Claim):
            self._settlement.claimed(found)
            self._recorded = self._runtime.idempotency.recording()
        if not isinstance(found, Replay):
            return None
        self._trace.dropped.append(f"Idempotency-Key: this is the answer of {found.request_id}")
        self._settlement.first_byte()
        await self._settlement.answered()
        return Reply(200, found.headers(), found.body)

    async def enter(self, body_bytes: int) -> None:
        """Pass the limits and reserve. A stream that has to wait for its turn does so later, while its client is kept waiting with
        signs of life. Raises RateLimited, QuotaExhausted, LedgerUnavailable."""
        self._body_bytes = body_bytes
        if self._principal.paced:
            tokens = tokens_of(self._call, body_bytes)
            take = Take(self._trace.request_id, self._principal.paced, tokens)
            passed = await self._runtime.pacing.take(take)
            if isinstance(passed, Refused):
                self._turn = take, passed
                if not self._call.stream:
                    await self._wait_for_turn()
                return
            self._settlement.passed(passed)
        await self._settlement.reserve(self._principal, self._call, body_bytes)

    async def _wait_for_turn(self) -> None:
        if self._turn is None:
            return
        (take, refused), self._turn = self._turn, None
        principal = self._principal
        began = perf_counter()
        try:
            ticket = await self._runtime.pacing.wait(
                take, principal.owner_id or f"k{principal.key_id}", refused
            )
        except TooFast as error:
            error.headers += of_refused(error.refused, self._trace.dialect, time())
            raise
        finally:
            self._trace.waited_ms = int((perf_counter() - began) * 1000)
        self._settlement.passed(ticket)
        await self._settlement.reserve(principal, self._call, self._body_bytes)

    async def whole(self, dialect: Dialect) -> Reply:
        await self._prepare()
        opened = await self._open()
        try:
            replies = self._see(opened.first)
            while batch := await opened.more():
                replies.extend(self._see(batch))
        finally:
            opened.close()
        if self._call.image_delivery == "url":
            await self._hang_pictures(replies)
        body = dialect.render(self._call, replies)
        self._settlement.first_byte()
        self._count_answers(replies)
        if self._call.kept is not None:
            await self._keep(self._call.kept)
        if self._recorded is not None:
            self._recorded.add(body)
            self._settlement.keep(await self._recorded.sealed([JSON]))
        await self._settlement.answered()
        return Reply(200, [JSON, *self._settlement.headers()], body)

    def stream(self, dialect: Dialect) -> StreamReply:
        renderer = dialect.stream(self._call)
        headers = [*dialect.stream_headers(self._call), *self._settlement.headers()]
        pieces = self._pieces(renderer, headers)
        reply = StreamReply(headers, renderer.keepalive, pieces, renderer.error)
        if self._call.model.variant.fake_stream:
            # Nothing comes before the whole answer is there, so the client is kept waiting with less patience.
            reply.keepalive_s = self._runtime.config.fake_stream_keepalive_s
        return reply

    async def _pieces(
        self, renderer: StreamRenderer, headers: Headers
    ) -> AsyncGenerator[bytes, None]:
        feed, settlement = renderer.feed, self._settlement
        linked = self._call.image_delivery == "url"
        opened = None
        try:
            if self._turn is not None:
                await self._wait_for_turn()
                # The head has not gone out yet, unless its client had to be kept waiting.
                headers += self._settlement.headers()
            await self._prepare()
            opened = await self._open()
            batch = opened.first
            while batch:
                replies = self._see(batch)
                if linked:
                    await self._hang_pictures(replies)
                delivering = settlement.delivered or any(map(delivers, replies))
                if piece := b"".join(map(feed, replies)):
                    settlement.first_byte()
                    if self._recorded is not None:
                        self._recorded.add(piece)
                    yield piece
                    settlement.started = True
                    settlement.delivered = delivering
                batch = await opened.more()
            closing = renderer.close(settlement.usage())
            if self._call.kept is not None:
                await self._keep(self._call.kept)
            if self._recorded is not None:
                self._recorded.add(closing)
                settlement.keep(await self._recorded.sealed(headers))
            await settlement.streamed()
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

    async def _hang_pictures(self, replies: list[Json]) -> None:
        request_id = self._trace.request_id
        await self._runtime.gallery.hang(replies, request_id=request_id, origin=self._origin)

    def _count_answers(self, replies: list[Json]) -> None:
        """Of several upstream calls each has one reply here; of pictures only those that were drawn count."""
        call = self._call
        answers = sum(map(draws if call.pictures_only else delivers, replies))
        self._settlement.delivered = answers > 0
        # Embeddings come as one reply, whole or not at all.
        embeds = call.action is Action.EMBED
        self._settlement.answers = call.answers if embeds else min(answers, call.answers)

    async def _keep(self, kept: Kept) -> None:
        """Store what later calls may build on, before the client knows its name."""
        if not await self._runtime.kept.save(self._principal.key_id, kept):
            self._trace.dropped.append("store: the response could not be stored")

    async def fail(self, error: GatewayError) -> None:
        """See `Settlement.fail`. What is left is known when the rest is given back."""
        await self._settlement.fail(error)
        error.headers += self._settlement.headers()

    def give_up(self, failure: BaseException) -> None:
        """See `Settlement.give_up`."""
        self._settlement.give_up(failure)

    async def _prepare(self) -> None:
        call = self._call
        if call.image_delivery == "url":
            # Before the upstream is asked: without an address there is nothing to link to.
            config = self._runtime.config
            self._origin = origin_of(
                self._request,
                public_url=config.public_url,
                trusted_proxies=config.trusted_proxies,
                allowed_hosts=config.allowed_hosts,
            )
        if call.remote_parts:
            await self._runtime.media.inline(call.remote_parts)
        if not self._native and call.action is not Action.EMBED:
            calls = signatures.unsigned(call.body.get("generateContentRequest", call.body))
            if calls:
                await self._restore_signatures(calls)

    async def _restore_signatures(self, calls: list[signatures.Unsigned]) -> None:
        model = self._call.model
        ids = [unsigned.call_id for unsigned in calls if unsigned.call_id]
        known = await self._runtime.signatures.known(self._principal.key_id, model.id, ids)
        signatures.sign(calls, known.get, strict=model.strict_signatures)

    async def _open(self) -> Source:
        runtime = self._runtime
        compatibility = runtime.config.site.compatibility
        return await open_answer(
            runtime.relay, self._call, self._trace, compatibility=compatibility
        )

    def _see(self, replies: list[Json]) -> list[Json]:
        """Note usage and signatures, leave out what the operator hides."""
        self._settlement.see(replies)
        if not self._native:
            for reply in replies:
                for call_id, signature in signatures.harvest(reply, _new_call_id):
                    self._runtime.signatures.put(
                        self._principal.key_id, self._call.model.id, call_id, signature
                    )
        if not self._runtime.config.show_thoughts:
            return [without_thoughts(reply) for reply in replies]
        return replies


def _new_call_id() -> str:
    return f"call_{secrets.token_hex(12)}"
