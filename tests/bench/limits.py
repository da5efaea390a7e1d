"""What limits on pace cost a call: a key that has them less one that has none, with the windows in the database and in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from operator import sub

from tests import services
from tests.bench.figures import Row
from tests.bench.measure import CALLS, QUICK_CALLS
from tests.bench.site import Site
from tests.bench.stand import Sample, Stand, chat

SECTION = (
    "Limits: a key with requests and tokens a minute and concurrency less one without, per call"
)
# Wide enough for nobody to wait. A window of a minute then holds some thousand calls, as that of a busy site.
_WIDE = {"rpm": 1_000_000, "tpm": 1_000_000_000, "concurrency": 10_000}


def limits(stand: Stand, redis: bool) -> list[Row]:
    """Raises services.Missing when there is no Redis to be had."""
    with ExitStack() as stack:
        url = stack.enter_context(services.redis_database()) if redis else ""
        where = "Redis" if redis else "SQLite"
        site = Site(
            stand.folder / f"limits-{where}", upstream_port=stand.upstream.port, redis_url=url
        )
        limited = site.limited_key(**_WIDE)
        web = stack.enter_context(site.serving())
        rows = []
        for parallel in (1, 32):
            samples = stand.in_turns(
                {"plain": chat(web, site.key), "limited": chat(web, limited)},
                parallel=parallel,
                calls=(QUICK_CALLS if stand.quick else CALLS)[parallel],
            )
            plain, paced = samples["plain"], samples["limited"]
            rows += [
                Row(SECTION, f"{where}, our CPU", parallel, "µs", _less(paced, plain, _cpu_us)),
                Row(SECTION, f"{where}, latency p50", parallel, "ms", _less(paced, plain, _p50_ms)),
            ]
        return rows


def _less(these: Sequence[Sample], those: Sequence[Sample], of) -> list[float]:  # type: ignore[no-untyped-def]
    return list(map(sub, map(of, these), map(of, those)))


def _cpu_us(sample: Sample) -> float:
    return sample.cpu_us[0]


def _p50_ms(sample: Sample) -> float:
    return sample.p50_ms
