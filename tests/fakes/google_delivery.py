"""How an answer reaches the client: framing, pace, compression, silence, cut connections."""

import asyncio
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from aiohttp import web

from tests.fakes.google_scripts import Recorded
from tests.fakes.google_status import CONTENT_TYPES

Json = dict[str, Any]

# Long enough that two writes are two reads at the other end.
_APART_S = 0.01


class Aborted(Exception):
    """The fake itself has cut the connection; there is nothing left to answer."""


@dataclass(frozen=True)
class Delivery:
    """``newline`` default: Google ends lines with CRLF."""

    newline: str = "\r\n"
    multiline: bool = False
    comments: bool = False
    event_lines: bool = False
    tight: bool = False
    blank_lines: bool = False
    tear: bool = False
    piece_bytes: int = 0
    gzip: bool = False
    ascii: bool = False
    terminate: bool = True
    empty: bool = False
    broken: bool = False
    interval_s: float = 0
    silence_s: float = 0
    silence_at: str = "first"
    reset_at: str = ""
    reset_how: str = "rst"
    error_at: str = ""
    error_form: str = "data"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Json) -> "Delivery":
        names = {one.name for one in fields(cls)}
        chosen = {name: value for name, value in options.items() if name in names}
        return cls(**{**chosen, "headers": dict(chosen.get("headers", {}))})

    def dumps(self, value: Any, *, pretty: bool = False) -> str:
        return json.dumps(value, ensure_ascii=self.ascii, indent=2 if pretty else None)

    def event(self, value: Json, number: int) -> bytes:
        lines = self.dumps(value, pretty=self.multiline).split("\n")
        space = "" if self.tight else " "
        framed = [f"data:{space}{line}" for line in lines]
        if self.event_lines:
            framed = [f"id: {number}", "event: message", *framed]
        if self.comments:
            framed = [": still here", "", *framed]
        if self.blank_lines:
            framed = ["", *framed]
        return (self.newline.join(framed) + self.newline * 2).encode()


def stream_pieces(
    chunks: list[Json], error: Json | None, delivery: Delivery, *, sse: bool
) -> list[bytes]:
    """The body of a stream, one item an event. ``error`` ends it where ``error_at`` says."""
    if delivery.empty or not (chunks or error):
        return []
    if error is not None:
        keep = {"first": 0, "middle": max(1, len(chunks) // 2), "end": len(chunks)}
        chunks = chunks[: keep[delivery.error_at]]
    if sse:
        pieces = [delivery.event(chunk, number) for number, chunk in enumerate(chunks)]
        if error is not None:
            pieces.append(_error_piece(error, delivery, len(pieces)))
    else:
        items = chunks if error is None else [*chunks, error]
        texts = [delivery.dumps(item, pretty=True) for item in items]
        pieces = [
            (("[" if not place else ",\r\n") + text).encode() for place, text in enumerate(texts)
        ]
        pieces.append(b"\n]\n")
    if delivery.broken:
        pieces[-1] = pieces[-1][: len(pieces[-1]) // 2] + (delivery.newline * 2).encode()
    if not delivery.terminate:
        pieces[-1] = pieces[-1].rstrip(b"\r\n]")
    return pieces


def _error_piece(error: Json, delivery: Delivery, number: int) -> bytes:
    if delivery.error_form == "data":
        return delivery.event(error, number)
    pretty = delivery.error_form == "bare"
    text = delivery.dumps(error, pretty=pretty).replace("\n", delivery.newline)
    return (text + delivery.newline * 2).encode()


def _torn(piece: bytes, delivery: Delivery) -> Iterator[bytes]:
    """``piece`` as the writes it is sent in; ``tear`` cuts in its first multi-byte character."""
    if delivery.piece_bytes:
        for start in range(0, len(piece), delivery.piece_bytes):
            yield piece[start : start + delivery.piece_bytes]
        return
    cut = next((place for place, byte in enumerate(piece) if byte >= 0xC0), len(piece) // 2) + 1
    if delivery.tear and cut < len(piece):
        yield piece[:cut]
        yield piece[cut:]
    else:
        yield piece


def cut_connection(request: web.Request, record: Recorded, how: str = "rst") -> None:
    """Raises Aborted. rst: the client sees a reset; fin: an end without the promised bytes."""
    record.aborted = True
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if how == "rst" and connection is not None:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    raise Aborted


class Sender:
    """Sends one answer and keeps its record up to date."""

    def __init__(self, request: web.Request, record: Recorded, delivery: Delivery) -> None:
        self.request = request
        self.record = record
        self.delivery = delivery

    async def send(
        self, pieces: list[bytes], content_type: str, *, status: int = 200, length: bool = False
    ) -> web.StreamResponse:
        delivery = self.delivery
        await self._pause("headers")
        response = web.StreamResponse(status=status, headers=delivery.headers)
        response.headers["Content-Type"] = content_type
        response.headers["Server"] = "ESF"
        packer = self._packer(response)
        if length and packer is None:
            response.content_length = sum(len(piece) for piece in pieces)
        self.record.status = status
        await response.prepare(self.request)
        await self._pause("first")
        middle = max(1, len(pieces) // 2)
        for place, piece in enumerate(pieces):
            if place == middle:
                await self._pause("middle")
            elif place and delivery.interval_s:
                await asyncio.sleep(delivery.interval_s)
            await self._write(response, packer, piece)
        if len(pieces) <= middle:
            await self._pause("middle")
        await self._pause("end")
        if packer is not None:
            await response.write(packer.flush(zlib.Z_FINISH))
        await response.write_eof()
        return response

    def _packer(self, response: web.StreamResponse) -> Any:
        accepted = self.request.headers.get("Accept-Encoding", "")
        if not self.delivery.gzip or "gzip" not in accepted:
            return None
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
        return zlib.compressobj(wbits=31)

    async def _write(self, response: web.StreamResponse, packer: Any, piece: bytes) -> None:
        if packer is not None:
            piece = packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
        for place, part in enumerate(_torn(piece, self.delivery)):
            if place and self.delivery.tear:
                await asyncio.sleep(_APART_S)
            await response.write(part)
        self.record.events_sent += 1
        if self.record.first_byte_at is None:
            self.record.first_byte_at = asyncio.get_running_loop().time()

    async def _pause(self, where: str) -> None:
        delivery = self.delivery
        if delivery.reset_at == where:
            # A reset throws away what is still on its way; let that arrive first.
            await asyncio.sleep(_APART_S)
            cut_connection(self.request, self.record, delivery.reset_how)
        if delivery.silence_s and delivery.silence_at == where:
            await asyncio.sleep(delivery.silence_s)
        elif where == "middle" and delivery.interval_s:
            await asyncio.sleep(delivery.interval_s)

    async def send_json(self, value: Any, status: int = 200) -> web.StreamResponse:
        """A whole JSON document, pretty-printed as Google does."""
        body = self.delivery.dumps(value, pretty=True).encode()
        if self.delivery.empty:
            body = b""
        if self.delivery.broken:
            body = body[: len(body) // 2]
        half = len(body) // 2
        pieces = [body[:half], body[half:]] if self.delivery.reset_at == "middle" else [body]
        return await self.send(pieces, CONTENT_TYPES["object"], status=status, length=True)

    async def send_bytes(self, body: bytes, status: int, content_type: str) -> web.StreamResponse:
        return await self.send([body], content_type, status=status, length=True)
