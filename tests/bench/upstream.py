"""The fake upstream: answers at once with bytes that were made before, so that little of what is measured is its own.

A process of its own. It prints its port as a JSON line and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time

import httptools
import uvloop

from tests.bench import canned

_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_STREAM_END = b"0\r\n\r\n"
_BURST_WRITE_BYTES = 64 * 1024


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _whole(status: int, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 %d Canned\r\ncontent-type: application/json; charset=UTF-8\r\n"
        b"content-length: %d\r\n\r\n%b" % (status, len(body), body)
    )


def _burst() -> bytes:
    events = canned.chunk() * (canned.BURST_CHUNKS - 1) + canned.chunk(end=True)
    starts = range(0, len(events), _BURST_WRITE_BYTES)
    frames = [_framed(events[start : start + _BURST_WRITE_BYTES]) for start in starts]
    return _STREAM_HEAD + b"".join(frames) + _STREAM_END


_WHOLE = _whole(200, canned.whole_reply())
_NOT_FOUND = _whole(404, b"{}")
_CHUNK = _framed(canned.chunk())
_BURST = _burst()


class Pacer(threading.Thread):
    """Gives each open stream a chunk per PACE_S, the streams evenly spread over that time.

    A thread, because the timers of an event loop fire on whole milliseconds: the chunks of several streams would come
    together, and whoever relays them would have to wake up once for all of them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="pacer", daemon=True)
        self._loop = loop
        self.streams: list[Connection] = []

    def run(self) -> None:
        due = time.perf_counter()
        while True:
            streams = list(self.streams)
            if not streams:
                time.sleep(canned.PACE_S)
                due = time.perf_counter()
            for stream in streams:
                due += canned.PACE_S / len(streams)
                if (wait_s := due - time.perf_counter()) > 0:
                    time.sleep(wait_s)
                self._loop.call_soon_threadsafe(stream.give, _CHUNK)


class Connection(asyncio.Protocol):
    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._pacer.streams:
            self._pacer.streams.remove(self)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_message_complete(self) -> None:
        url, self._url = self._url, b""
        model = url.rpartition(b"/")[2].partition(b":")[0].decode()
        if model == canned.PACED:
            self.give(_STREAM_HEAD + _CHUNK)
            self._pacer.streams.append(self)
        elif model == canned.BURST:
            self.give(_BURST)
        elif model == canned.SILENT:
            self.give(_STREAM_HEAD + _CHUNK)
        elif model == canned.WHOLE:
            self.give(_WHOLE)
        else:
            self.give(_NOT_FOUND)

    def give(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


async def main() -> None:
    loop = asyncio.get_running_loop()
    pacer = Pacer(loop)
    pacer.start()
    server = await loop.create_server(lambda: Connection(pacer), "127.0.0.1", 0, backlog=2048)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main())
