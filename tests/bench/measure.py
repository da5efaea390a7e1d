"""The measurements: each takes a Stand and gives rows of the table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from operator import attrgetter, sub

from tests import services
from tests.bench import canned
from tests.bench.clocks import rss_bytes
from tests.bench.figures import Row
from tests.bench.processes import Broken
from tests.bench.site import API_PASSWORD, Site, Web
from tests.bench.stand import Route, Sample, Stand, chat, native

PARALLEL = (1, 32, 256)
CALLS = {1: 600, 32: 2000, 256: 3000}
QUICK_CALLS = {1: 150, 32: 500, 256: 800}
MAIN_PARALLEL = 32

CALLS_SECTION = "Whole answers: OpenAI chat, 1 kB asked, ledger on SQLite"
LEDGER_SECTION = "The ledger: a key less API_PASSWORD, for which nothing is booked, per call"
MEMORY_SECTION = "Memory of the web process"

PACED_STREAMS = 64
PACED_WINDOW_S = 2.0
BURST_PARALLEL, BURST_STREAMS = 4, 24
IDLE_STREAMS = 500
# Streams that last get a listener for a client that leaves; they have it by then.
SETTLING_S = 1.5


def _calls(stand: Stand, parallel: int) -> int:
    return (QUICK_CALLS if stand.quick else CALLS)[parallel]


def _cpu(samples: Sequence[Sample]) -> list[float]:
    return [sample.cpu_us[0] for sample in samples]


def _per_cpu_second(us: Sequence[float]) -> list[float]:
    return [1e6 / each for each in us]


def _less(these: Sequence[Sample], those: Sequence[Sample], of: str) -> list[float]:
    """Round by round."""
    read = attrgetter(of)
    return list(map(sub, map(read, these), map(read, those)))


def calls(stand: Stand, site: Site) -> list[Row]:
    """Calls that are not streamed, and the ledger on SQLite."""
    with site.serving() as web:
        by_parallel = {parallel: _one_parallel(stand, site, web, parallel) for parallel in PARALLEL}
        others = stand.in_turns(
            {"native": native(web, site.key), "large": chat(web, site.key, large=True)},
            parallel=MAIN_PARALLEL,
            calls=_calls(stand, MAIN_PARALLEL),
        )
    return [*_call_rows(by_parallel, others), *_sqlite_rows(by_parallel)]


def _one_parallel(stand: Stand, site: Site, web: Web, parallel: int) -> dict[str, list[Sample]]:
    routes = stand.beside(canned.WHOLE, stream=False)
    routes["ours"] = chat(web, site.key)
    routes["unlimited"] = chat(web, API_PASSWORD)
    return stand.in_turns(routes, parallel=parallel, calls=_calls(stand, parallel))


def _call_rows(
    by_parallel: dict[int, dict[str, list[Sample]]], others: dict[str, list[Sample]]
) -> list[Row]:
    cpu, rate, p50, p99 = [], [], [], []
    for parallel, samples in by_parallel.items():
        main, alone = parallel == MAIN_PARALLEL, parallel == 1
        us = _cpu(samples["ours"]), _cpu(samples.get("nginx", []))
        per_second = map(_per_cpu_second, us)
        cpu.append(_call_row("CPU per call", parallel, "µs", *us, target="≤ 200" * main))
        rate.append(
            _call_row("calls per CPU-second", parallel, "1/s", *per_second, target="≥ 5,000" * main)
        )
        p50.append(
            _call_row(
                "added latency p50",
                parallel,
                "ms",
                *_added(samples, "p50_ms"),
                target="≤ 0.6" * alone,
            )
        )
        p99.append(_call_row("added latency p99", parallel, "ms", *_added(samples, "p99_ms")))
    native_us, large_us = _cpu(others["native"]), _cpu(others["large"])
    more = [
        Row(CALLS_SECTION, "CPU per call, Gemini's own dialect", MAIN_PARALLEL, "µs", native_us),
        Row(CALLS_SECTION, "CPU per call, 33 kB asked", MAIN_PARALLEL, "µs", large_us),
    ]
    return [*cpu, *rate, *p50, *p99, *more]


def _call_row(
    what: str,
    parallel: int,
    unit: str,
    ours: Sequence[float],
    nginx: Sequence[float],
    *,
    target: str = "",
) -> Row:
    return Row(CALLS_SECTION, what, parallel, unit, ours, nginx, target, compared=True)


def _added(samples: dict[str, list[Sample]], of: str) -> tuple[list[float], list[float]]:
    """By us and by nginx, round by round, to what the upstream takes alone."""
    direct = samples["direct"]
    ours, nginx = samples["ours"], samples.get("nginx", [])
    return _less(ours, direct, of), _less(nginx, direct, of)


def _sqlite_rows(by_parallel: dict[int, dict[str, list[Sample]]]) -> list[Row]:
    return [
        _ledger_row("SQLite, our CPU", parallel, samples)
        for parallel, samples in by_parallel.items()
    ]


def _ledger_row(what: str, parallel: int, samples: dict[str, list[Sample]]) -> Row:
    cost = list(map(sub, _cpu(samples["ours"]), _cpu(samples["unlimited"])))
    return Row(LEDGER_SECTION, what, parallel, "µs", cost)


def postgres(stand: Stand) -> list[Row]:
    """The ledger on PostgreSQL. Raises services.Missing when there is no server to be had."""
    with ExitStack() as stack:
        url = stack.enter_context(services.postgres_database())
        site = Site(stand.folder / "postgres", upstream_port=stand.upstream.port, database_url=url)
        web = stack.enter_context(site.serving())
        stand.calls(chat(web, site.key), parallel=MAIN_PARALLEL, calls=MAIN_PARALLEL)
        pids = tuple(site.database_pids())
        routes = {
            "ours": chat(web, site.key, beside=pids),
            "unlimited": chat(web, API_PASSWORD, beside=pids),
        }
        ours, servers = [], []
        for parallel in (MAIN_PARALLEL,) if stand.quick else PARALLEL:
            samples = stand.in_turns(routes, parallel=parallel, calls=_calls(stand, parallel))
            ours.append(_ledger_row("PostgreSQL, our CPU", parallel, samples))
            servers.append(_server_row(parallel, samples))
    return ours + servers


def _server_row(parallel: int, samples: dict[str, list[Sample]]) -> Row:
    cost = map(sub, map(_server_us, samples["ours"]), map(_server_us, samples["unlimited"]))
    what = "PostgreSQL, CPU of its backends"
    return Row(LEDGER_SECTION, what, parallel, "µs", list(cost))


def _server_us(sample: Sample) -> float:
    return sum(sample.cpu_us[1:])


def streams(stand: Stand, site: Site) -> list[Row]:
    """Chunks one by one and chunks by the thousand."""
    with site.serving() as web:
        paced = stand.beside(canned.PACED, stream=True)
        paced["ours"] = chat(web, site.key, canned.PACED, stream=True)
        burst = stand.beside(canned.BURST, stream=True)
        burst["ours"] = chat(web, site.key, canned.BURST, stream=True)
        return [*_paced_rows(stand, paced), *_burst_rows(stand, burst)]


def _paced_rows(stand: Stand, routes: dict[str, Route]) -> list[Row]:
    us: dict[str, list[float]] = {"ours": [], "nginx": []}
    for _ in range(stand.rounds):
        for name in us.keys() & routes.keys():
            us[name].append(_watched(stand, routes[name]))
    section = f"Streams, paced: a chunk each {canned.PACE_S * 1000:.0f} ms"
    return _chunk_rows(section, PACED_STREAMS, us["ours"], us["nginx"], "≤ 60")


def _watched(stand: Stand, route: Route) -> float:
    """CPU µs per chunk, once all streams are under way."""
    window_s = PACED_WINDOW_S / 2 if stand.quick else PACED_WINDOW_S
    stand.ask("hold", **route.as_job(), streams=PACED_STREAMS)
    seen = stand.ask("watch", seconds=window_s, pids=route.pids)
    stand.ask("drop")
    expected = PACED_STREAMS * window_s / canned.PACE_S
    if not 0.9 * expected < seen["events"] < 1.1 * expected:
        raise Broken(
            f"{seen['events']} chunks came where {expected:.0f} were due: too slow a machine"
        )
    return 1e6 * seen["cpu_s"][0] / seen["events"]


def _burst_rows(stand: Stand, routes: dict[str, Route]) -> list[Row]:
    count = BURST_STREAMS // 2 if stand.quick else BURST_STREAMS
    samples = stand.in_turns(routes, parallel=BURST_PARALLEL, calls=count)
    for sample in samples["ours"]:
        if sample.events < count * canned.BURST_CHUNKS:
            raise Broken(f"only {sample.events} events of {count} streams came through")
    us = {
        name: [each / canned.BURST_CHUNKS for each in _cpu(rounds)]
        for name, rounds in samples.items()
    }
    section = f"Streams, in a burst: {canned.BURST_CHUNKS:,} chunks at once"
    return _chunk_rows(section, BURST_PARALLEL, us["ours"], us.get("nginx", []), "≤ 6")


def _chunk_rows(
    section: str, parallel: int, ours: list[float], nginx: list[float], target: str
) -> list[Row]:
    return [
        Row(section, "CPU per chunk", parallel, "µs", ours, nginx, target, compared=True),
        Row(
            section,
            "chunks per CPU-second",
            parallel,
            "1/s",
            _per_cpu_second(ours),
            _per_cpu_second(nginx),
            compared=True,
        ),
    ]


def memory(stand: Stand, site: Site) -> list[Row]:
    """Each round is a new process: memory that was used once is not given back, so a second try would look free."""
    idle_mib: list[float] = []
    stream_kib: list[float] = []
    for _ in range(1 if stand.quick else 3):
        with site.serving() as web:
            stand.calls(chat(web, site.key), parallel=1, calls=20)
            idle_bytes = rss_bytes(web.pid)
            route = chat(web, site.key, canned.SILENT, stream=True)
            stand.ask("hold", **route.as_job(), streams=IDLE_STREAMS)
            time.sleep(SETTLING_S)
            idle_mib.append(idle_bytes / 2**20)
            stream_kib.append((rss_bytes(web.pid) - idle_bytes) / IDLE_STREAMS / 2**10)
            stand.ask("drop")
    per_stream = "per open stream that waits"
    return [
        Row(MEMORY_SECTION, "idle", None, "MiB", idle_mib, target="≤ 120"),
        Row(MEMORY_SECTION, per_stream, IDLE_STREAMS, "KiB", stream_kib, target="≤ 40"),
    ]
