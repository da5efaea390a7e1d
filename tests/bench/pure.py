"""What the plain functions on the path of a call cost by themselves: no socket, no event loop, no database."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from apiproxy.catalogue import Catalogue
from apiproxy.dialects import DIALECTS
from apiproxy.dialects.base import Dialect
from apiproxy.pool import Pool
from apiproxy.providers import gemini_api
from apiproxy.wire import codec
from apiproxy.wire.types import OK, Call, Credential, Endpoints, Head
from tests.bench import canned
from tests.bench.figures import Row

ROUND_S = 0.05
SECTION = "Plain functions"

CHAT: Dialect = DIALECTS["openai-chat"]
RESOLVE = Catalogue([]).resolve
CREDENTIAL = Credential(id=1, provider="gemini_api", token="AIza" + "B" * 35)


def rows(rounds: int) -> list[Row]:
    small = canned.openai_body(canned.WHOLE, stream=False)
    large = canned.openai_body(canned.WHOLE, stream=False, large=True)
    call = _parse(small)
    reply = codec.loads(canned.whole_reply())
    cases: list[tuple[str, str, Callable[[], Any], int]] = [
        ("read and parse an OpenAI chat of 1 kB", "per call", lambda: _parse(small), 1),
        ("read and parse an OpenAI chat of 33 kB", "per call", lambda: _parse(large), 1),
        ("write the upstream's request", "per call", lambda: _exchange(call), 1),
        ("take a credential and give it back", "per call", _borrower(), 1),
        ("read the upstream's answer", "per call", lambda: _decode(call), 1),
        ("render an OpenAI answer", "per call", lambda: CHAT.render(call, [reply]), 1),
        ("read a chunk and render it", "paced", _chunk_by_chunk(), 1),
        ("read a chunk and render it", "in a burst", _burst(), canned.BURST_CHUNKS),
    ]
    return [
        Row(SECTION, f"{what}, {how}", None, "µs", [_us(run) / times for _ in range(rounds)])
        for what, how, run, times in cases
    ]


def _us(run: Callable[[], Any]) -> float:
    """CPU time of one run, over as many as fit into a round."""
    runs = 0
    began = time.process_time()
    while (spent_s := time.process_time() - began) < ROUND_S:
        for _ in range(10):
            run()
        runs += 10
    return 1e6 * spent_s / runs


def _parse(body: bytes) -> Call:
    return CHAT.parse(codec.loads(body), Head("req_bench", 0.0), RESOLVE)


def _exchange(call: Call) -> Any:
    try:
        next(gemini_api.exchange(call, CREDENTIAL, Endpoints()))
    except StopIteration as stop:
        return stop.value
    raise AssertionError("one step is expected")


def _decode(call: Call) -> Any:
    decoder = gemini_api.decoder(call)
    decoder.feed(canned.whole_reply())
    return decoder.close()


def _borrower() -> Callable[[], Any]:
    pool = Pool(time.time)
    pool.put(CREDENTIAL)
    return lambda: pool.release(pool.acquire(canned.WHOLE, ("gemini_api",)), OK)


def _chunk_by_chunk() -> Callable[[], Any]:
    call = _parse(canned.openai_body(canned.PACED, stream=True))
    feed = gemini_api.decoder(call).feed
    render = CHAT.stream(call).feed
    data = canned.chunk()
    return lambda: list(map(render, feed(data)))


def _burst() -> Callable[[], Any]:
    call = _parse(canned.openai_body(canned.BURST, stream=True))
    data = canned.chunk() * canned.BURST_CHUNKS

    def run() -> list[bytes]:
        return list(map(CHAT.stream(call).feed, gemini_api.decoder(call).feed(data)))

    return run
