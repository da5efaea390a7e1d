"""What the plain functions on the path of a call cost by themselves: no socket, no event loop, no database."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from apiproxy.catalogue import Catalogue
from apiproxy.dialects import DIALECTS
from apiproxy.dialects.base import Dialect
from apiproxy.pool import Pool
from apiproxy.providers import gemini_api
from apiproxy.wire import codec
from apiproxy.wire.types import OK, Call, Credential, Endpoints, Head
from credentials.caps import Caps, Hours
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
        ("take a credential and give it back", "of one", _borrower(1), 1),
        ("take a credential and give it back", "of forty", _borrower(40), 1),
        ("read the upstream's answer", "per call", lambda: _decode(call), 1),
        ("render an OpenAI answer", "per call", lambda: CHAT.render(call, [reply]), 1),
        ("read a chunk and render it", "paced", _chunk_by_chunk(), 1),
        ("read a chunk and render it", "in a burst", _burst(), canned.BURST_CHUNKS),
    ]
    found = [
        Row(SECTION, f"{what}, {how}", None, "µs", [_us(run) / times for _ in range(rounds)])
        for what, how, run, times in cases
    ]
    return found + _pool_rows(rounds) + _return_rows(rounds)


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


def _borrower(count: int) -> Callable[[], Any]:
    pool = Pool(time.time)
    for pk in range(1, count + 1):
        pool.put(msgspec.structs.replace(CREDENTIAL, id=pk))
    return lambda: pool.release(pool.acquire(canned.WHOLE, ("gemini_api",)), OK)


_MODELS = tuple(f"gemini-model-{n}" for n in range(100))
_CALLS = 5_000


def _pool_rows(rounds: int) -> list[Row]:
    """10,000 credentials and 100 models: the middle call and the slowest of a hundred."""
    rows = []
    for what, pool in (
        ("all usable", _large_pool()),
        ("99 % rest for the model", _large_pool(resting=0.99, whole=False)),
        ("half rest for the model", _large_pool(resting=0.5, whole=False)),
        ("99 % rest", _large_pool(resting=0.99, whole=True)),
        ("99 % serve other models", _large_pool(other_models=0.99)),
        ("99 % of a used up cap", _large_pool(spent=0.99)),
        ("99 % outside their hours", _large_pool(closed=0.99)),
        ("99 % of another provider", _large_pool(elsewhere=0.99)),
    ):
        _call_times_us(pool)
        times = [_call_times_us(pool) for _ in range(rounds)]
        name = f"take one of 10,000 × 100 models and give it back, {what}"
        for figure, place in (("p50", 0.5), ("p99", 0.99)):
            values = [some[int(len(some) * place)] for some in times]
            rows.append(Row(SECTION, f"{name}, {figure}", None, "µs", values, target="< 50"))
    return rows


def _return_rows(rounds: int) -> list[Row]:
    """Midnight in California: 10,000 credentials come back from a rest at once, and calls go on."""
    rows = []
    for what, count, whole in (
        ("100 models, as a whole", 100, True),
        ("100 models, for each model", 100, False),
        ("300 models, as a whole", 300, True),
    ):
        times = [_return_times_us(count, whole=whole) for _ in range(min(rounds, 3))]
        name = f"take one of 10,000 × {what}, while all of them come back"
        for figure, place in (("p50", 0.5), ("p99", 0.99)):
            values = [some[int(len(some) * place)] for some in times]
            rows.append(Row(SECTION, f"{name}, {figure}", None, "µs", values))
    return rows


def _return_times_us(count: int, *, whole: bool) -> list[float]:
    """All but a hundred rest; each model has an order of its own, as one credential is away for it alone."""
    models = tuple(f"gemini-model-{n}" for n in range(count))
    now = [1000.0]
    pool = Pool(lambda: now[0])
    for pk in range(1, 10_001):
        pool.put(Credential(id=pk, provider="gemini_api", contributor_id=pk % 40))
        for scope in ("",) if whole else models:
            if pk > 100:
                pool.rest(pk, scope, 2000.0)
    for model in models:
        pool.rest(1, model, 9000.0)
    _call_times_us(pool, models)
    now[0] = 2000.0
    return _call_times_us(pool, models)


def _call_times_us(pool: Pool, models: Sequence[str] = _MODELS) -> list[float]:
    """CPU time of single calls, in order of size; the clock itself is in it."""
    times = []
    draw = random.Random(1)
    for _ in range(_CALLS):
        model = models[draw.randrange(len(models))]
        began = time.thread_time_ns()
        pool.release(pool.acquire(model, ("gemini_api",)), OK)
        times.append((time.thread_time_ns() - began) / 1000)
    return sorted(times)


def _large_pool(
    *,
    resting: float = 0.0,
    whole: bool = False,
    other_models: float = 0.0,
    spent: float = 0.0,
    closed: float = 0.0,
    elsewhere: float = 0.0,
) -> Pool:
    """What is said of that part of its credentials; forty people lent them."""
    draw = random.Random(2)
    now = time.time()
    hour = time.gmtime(now).tm_hour
    not_now = Caps(hours=Hours((hour + 12) % 24, (hour + 13) % 24))
    capped = Caps(model_calls_a_day=(("gemini-*", 1),))
    pool = Pool(time.time)
    for pk in range(1, 10_001):
        provider = "code_assist" if draw.random() < elsewhere else "gemini_api"
        caps = Caps(models=("another-*",)) if draw.random() < other_models else Caps()
        caps = not_now if draw.random() < closed else caps
        caps = capped if draw.random() < spent else caps
        pool.put(Credential(id=pk, provider=provider, contributor_id=pk % 40), caps=caps)
        for scope in ("",) if whole else _MODELS:
            if draw.random() < resting:
                pool.rest(pk, scope, now + 24 * 3600)
    if spent:
        _use_up(pool, capped.model_calls_a_day[0][0], now + 24 * 3600)
    return pool


def _use_up(pool: Pool, glob: str, until: float) -> None:
    """The cap of everybody who has one."""
    for _ in range(20_000):
        lease = pool.acquire(_MODELS[0], ("gemini_api",))
        if lease.limits:
            pool.refuse(lease, glob, until, spent=True)
        else:
            pool.release(lease, OK)


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
