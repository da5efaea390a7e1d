"""The benchmark measures what it says: so many calls, so many chunks, and it stops at a wrong answer."""

from __future__ import annotations

import dataclasses

import psutil
import pytest

from tests.bench import canned
from tests.bench.processes import Broken
from tests.bench.stand import standing


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    with standing(tmp_path_factory.mktemp("bench"), quick=True) as stand:
        yield stand


def test_calls_are_timed_and_the_upstreams_clock_is_read(stand):
    direct = stand.beside(canned.WHOLE, stream=False)["direct"]
    sample = stand.calls(direct, parallel=4, calls=40)
    assert 0 < sample.p50_ms <= sample.p99_ms
    assert len(sample.cpu_us) == 1
    assert sample.cpu_us[0] > 0


def test_a_burst_brings_every_chunk(stand):
    direct = stand.beside(canned.BURST, stream=True)["direct"]
    assert stand.calls(direct, parallel=2, calls=4).events == 4 * canned.BURST_CHUNKS


def test_a_held_stream_gets_its_chunks_until_it_is_dropped(stand):
    direct = stand.beside(canned.PACED, stream=True)["direct"]
    stand.ask("hold", **direct.as_job(), streams=3)
    assert stand.ask("watch", seconds=0.2, pids=[])["events"] > 0
    stand.ask("drop")


def test_an_error_is_no_figure(stand):
    direct = stand.beside(canned.WHOLE, stream=False)["direct"]
    with pytest.raises(Broken, match="status 404"):
        stand.calls(dataclasses.replace(direct, path="/nothing"), parallel=1, calls=1)


def test_nothing_runs_on_when_it_ends(tmp_path):
    with standing(tmp_path, quick=True) as stand:
        pids = [stand.load.pid, stand.upstream.pid]
        assert all(map(psutil.pid_exists, pids))
    assert not any(map(psutil.pid_exists, pids))
