"""The load generator: a process of its own that takes jobs as JSON lines and answers each with a JSON line.

It also reads the CPU clocks of the processes a job names, right before the first and right after the last counted
byte. Jobs: `calls` (each connection sends its next call when it has the answer to the last), `hold` (open streams and
keep them), `watch` (count what the held streams receive), `drop` (leave them).
"""

from __future__ import annotations

import asyncio
import json
import sys
from time import perf_counter
from typing import Any

import httptools
import uvloop

from tests.bench.clocks import cpu_s

Json = dict[str, Any]

JOB_TIMEOUT_S = 60.0
WARMING_CALLS = 2


class Failed(Exception):
    """An answer that is not the expected one: figures from it would be worth nothing."""


class Run:
    """What the connections of one job share."""

    def __init__(self, request: bytes, connections: int, *, hold: bool = False) -> None:
        self.request = request
        self.hold = hold
        self.latencies_s: list[float] = []
        self.line_ends = 0
        self._connections = connections
        self._left = 0
        self._open = 0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def events(self) -> int:
        """Every dialect ends an event with two LF, with or without CR, and writes none inside."""
        return self.line_ends // 2

    async def go(self, connections: list[Connection], calls: int) -> None:
        self.finished = asyncio.get_running_loop().create_future()
        self.latencies_s, self.line_ends = [], 0
        self._left, self._open = calls, len(connections)
        for connection in connections:
            self.next(connection)
        await self.finished

    def next(self, connection: Connection) -> None:
        if self._left:
            self._left -= 1
            connection.send()
        else:
            self.one_ready()

    def one_ready(self) -> None:
        """A connection has nothing more to do, or a held stream has begun."""
        self._open -= 1
        if self._open == 0 and not self.finished.done():
            self.finished.set_result(None)

    def fail(self, why: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(Failed(why))


class Connection(asyncio.Protocol):
    def __init__(self, run: Run) -> None:
        self._run = run
        self._parser = httptools.HttpResponseParser(self)
        self._sent = 0.0
        self._begun = False
        self._leaving = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self) -> None:
        self._begun = False
        self._sent = perf_counter()
        self._transport.write(self._run.request)

    def leave(self) -> None:
        self._leaving = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._leaving:
            self._run.fail(f"a connection was closed: {exc or 'by the other side'}")

    def on_body(self, body: bytes) -> None:
        self._run.line_ends += body.count(b"\n")
        if not self._begun:
            self._begun = True
            status = self._parser.get_status_code()
            if status != 200:
                self._run.fail(f"status {status}: {body[:300]!r}")
            elif self._run.hold:
                self._run.one_ready()

    def on_message_complete(self) -> None:
        run = self._run
        if run.hold:
            run.fail("a stream ended that should have stayed open")
            return
        run.latencies_s.append(perf_counter() - self._sent)
        run.next(self)


class Load:
    def __init__(self) -> None:
        self._held: list[Connection] = []
        self._holding: Run | None = None

    async def calls(self, job: Json) -> Json:
        run = Run(_request(job), job["parallel"])
        connections = await _connect(run, job["port"], job["parallel"])
        try:
            # Both sides' connections exist before the clocks are read.
            await run.go(connections, WARMING_CALLS * len(connections))
            cpu, began = _read_clocks(job), perf_counter()
            await run.go(connections, job["calls"])
            result = {"wall_s": perf_counter() - began, "cpu_s": _since(cpu)}
        finally:
            for connection in connections:
                connection.leave()
        latencies = sorted(run.latencies_s)
        return result | {
            "events": run.events,
            "p50_ms": 1000 * latencies[len(latencies) // 2],
            "p99_ms": 1000 * latencies[len(latencies) * 99 // 100],
        }

    async def hold(self, job: Json) -> Json:
        run = self._holding = Run(_request(job), job["streams"], hold=True)
        self._held = await _connect(run, job["port"], job["streams"])
        await run.go(self._held, job["streams"])
        return {}

    async def watch(self, job: Json) -> Json:
        run = self._holding
        run.finished = asyncio.get_running_loop().create_future()
        cpu, before = _read_clocks(job), run.events
        # Nothing finishes this future but a stream that breaks.
        await asyncio.wait([run.finished], timeout=job["seconds"])
        if run.finished.done():
            run.finished.result()
        return {"events": run.events - before, "cpu_s": _since(cpu)}

    async def drop(self, job: Json) -> Json:
        for connection in self._held:
            connection.leave()
        self._held = []
        return {}


async def _connect(run: Run, port: int, count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    return [
        (await loop.create_connection(lambda: Connection(run), "127.0.0.1", port))[1]
        for _ in range(count)
    ]


def _request(job: Json) -> bytes:
    body = job["body"].encode()
    lines = [f"POST {job['path']} HTTP/1.1", f"host: 127.0.0.1:{job['port']}"]
    lines += [f"{name}: {value}" for name, value in job["headers"].items()]
    lines += ["content-type: application/json", f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def _read_clocks(job: Json) -> dict[int, float]:
    return {pid: cpu_s(pid) for pid in job["pids"]}


def _since(before: dict[int, float]) -> list[float]:
    return [cpu_s(pid) - earlier for pid, earlier in before.items()]


async def main() -> None:
    loop = asyncio.get_running_loop()
    load = Load()
    jobs = {"calls": load.calls, "hold": load.hold, "watch": load.watch, "drop": load.drop}
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        job = json.loads(line)
        try:
            async with asyncio.timeout(JOB_TIMEOUT_S):
                result = await jobs[job["job"]](job)
        except TimeoutError:
            result = {"failed": f"a job took longer than {JOB_TIMEOUT_S:g} s"}
        except (Failed, OSError) as exc:
            result = {"failed": str(exc)}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
