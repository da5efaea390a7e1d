"""An answer that must not be cut: upstream answers one after the other, until the model says that it has ended.

An upstream that fails once there is something to go on from ends it as a cut answer, not as an error: the client keeps
what it has, and is told by the finish reason. The request itself is never changed; each attempt gets a copy.
"""

from __future__ import annotations

from msgspec.structs import replace

from apiproxy.source import Opener, Source
from apiproxy.stretch import Stretch
from apiproxy.truncation import continuation, instructed, mark_of
from apiproxy.wire.types import Call, Json
from gateway.lib.errors import GatewayError, UpstreamRefused


class Continued:
    def __init__(self, open_one: Opener, call: Call, *, compatibility: bool) -> None:
        self._open_one = open_one
        self._call = call
        self._mark = mark_of(call.head.request_id)
        self._body = instructed(call.body, self._mark, compatibility=compatibility)
        config = call.body.get("generationConfig") or {}
        self._may_stop = bool(config.get("stopSequences") or config.get("stop_sequences"))
        # Third-generation models do not go on from a turn of their own (reference 6.5).
        self._as_user = call.model.strict_signatures
        self._attempts_left = call.attempts
        self._stretch = Stretch(self._mark)
        self._source: Source | None = None
        self._ended = False
        self.first: list[Json] = []

    async def start(self) -> None:
        """Raises the GatewayError of the first attempt."""
        self._source = await self._open(self._body)
        try:
            self.first = self._shown(self._source.first) or await self.more()
        except BaseException:
            self.close()
            raise

    async def more(self) -> list[Json]:
        while not self._ended:
            if shown := await (self._go_on() if self._source is None else self._read(self._source)):
                return shown
        return []

    def close(self) -> None:
        if self._source is not None:
            self._source.close()

    async def _open(self, body: Json) -> Source:
        self._attempts_left -= 1
        return await self._open_one(replace(self._call, body=body))

    async def _read(self, source: Source) -> list[Json]:
        try:
            batch = await source.more()
        except GatewayError as error:
            if self._stretch.called or not self._stretch.said:
                raise
            self._note(error)
            batch = []
        return self._shown(batch) if batch else self._end_stretch(source)

    def _end_stretch(self, source: Source) -> list[Json]:
        source.close()
        self._source = None
        stretch = self._stretch
        rest = stretch.close()
        shown = [] if rest is None else [rest]
        if not (self._attempts_left and stretch.goes_on(may_stop=self._may_stop)):
            shown += self._end()
        return shown

    def _end(self) -> list[Json]:
        self._ended = True
        ending = self._stretch.ending(cut=bool(self._stretch.said))
        return [] if ending is None else [ending]

    async def _go_on(self) -> list[Json]:
        try:
            self._source = await self._continue()
        except GatewayError as error:
            self._note(error)
            self._stretch.break_off()
            return self._end()
        self._stretch = Stretch(self._mark, self._stretch)
        return self._shown(self._source.first)

    async def _continue(self) -> Source:
        if not self._as_user:
            try:
                return await self._open(self._longer(as_user=False))
            except UpstreamRefused:
                self._as_user = True
                self._attempts_left += 1
        return await self._open(self._longer(as_user=True))

    def _longer(self, *, as_user: bool) -> Json:
        return continuation(self._body, self._stretch.said, self._mark, as_user=as_user)

    def _shown(self, batch: list[Json]) -> list[Json]:
        return [shown for reply in batch if (shown := self._stretch.show(reply)) is not None]

    def _note(self, error: GatewayError) -> None:
        """The answer goes out as one that worked; the request's explanation says what happened to it."""
        self._call.dropped.append(f"anti-truncation, an attempt failed: {error.message}")
