"""The parent of `serve` with real children that serve a toy application."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0


class Served:
    def __init__(self, process):
        self.process = process
        self.facts = json.loads(process.stdout.readline())
        self.url = self.facts["url"]

    def answer(self, path="/"):
        return httpx.get(self.url + path, trust_env=False).text

    def refuses(self):
        parts = urlsplit(self.url)
        try:
            socket.create_connection((parts.hostname, parts.port)).close()
        except ConnectionRefusedError:
            return True
        return False


def eventually(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def command(*arguments, app="tests.gateway.toy_asgi:application"):
    return [
        *(sys.executable, "-P", "-m", "gateway.supervisor", "--app", app, "--host", "127.0.0.1"),
        *("--drain-s", "60", "--json", *arguments),
    ]


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def environment(folder):
    return {**os.environ, "PYTHONPATH": str(ROOT), "TOY_FOLDER": str(folder)}  # noqa: TID251


@pytest.fixture
def serve(environment):
    """Starts a supervisor of `workers` web processes; all of it is gone after the test."""
    with ExitStack() as stack:

        def start(workers=1):
            arguments = ("--port", "0", "--workers", str(workers), "--no-worker")
            process = subprocess.Popen(
                command(*arguments), env=environment, stdout=subprocess.PIPE, text=True
            )
            stack.callback(end, process)
            return Served(process)

        yield start


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()


def test_it_serves_and_says_where(serve):
    served = serve(workers=2)
    assert len(served.facts["web"]) == 2
    assert served.facts["worker"] is None
    assert int(served.answer()) in served.facts["web"]


def test_what_is_loaded_at_the_start_is_kept_from_the_garbage_collector(serve):
    assert int(serve().answer("/frozen")) > 1000


def test_a_termination_loses_no_open_stream(serve, folder):
    served = serve(workers=2)
    with httpx.Client(trust_env=False) as client, ExitStack() as stack:
        held = [client.stream("GET", f"{served.url}/hold") for _ in range(20)]
        lines = [stack.enter_context(stream).iter_lines() for stream in held]
        assert [next(line) for line in lines] == ["first"] * 20
        served.process.send_signal(signal.SIGTERM)
        eventually(served.refuses)
        (folder / "release").touch()
        assert [list(line) for line in lines] == [["last"]] * 20
    assert served.process.wait(PATIENCE_S) == 0
    assert {path.name for path in folder.glob("closed-*")} == {
        f"closed-{pid}" for pid in served.facts["web"]
    }


def test_a_second_signal_cuts_streams_but_closes_the_application(serve, folder):
    served = serve()
    with httpx.stream("GET", f"{served.url}/hold", trust_env=False) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "first"
        served.process.send_signal(signal.SIGINT)
        eventually(served.refuses)
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(PATIENCE_S) == 0
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
    assert (folder / f"closed-{served.facts['web'][0]}").exists()


def test_a_killed_web_process_is_started_again(serve):
    served = serve()
    first = served.facts["web"][0]
    os.kill(first, signal.SIGKILL)
    assert int(served.answer()) != first


def test_children_do_not_outlive_a_killed_parent(serve):
    served = serve(workers=2)
    served.process.kill()
    eventually(lambda: all(gone(pid) for pid in served.facts["web"]))
    assert served.refuses()


def test_a_port_that_is_taken_is_said_in_words(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            command("--port", port, "--workers", "1"),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr


def test_a_web_process_that_keeps_dying_at_its_start_ends_it_all(environment):
    arguments = ("--port", "0", "--workers", "1", "--no-worker")
    done = subprocess.run(
        command(*arguments, app="tests.gateway.toy_asgi:broken"),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "web process 1 keeps dying at its start (last exit code 3): giving up" in done.stderr
    assert done.stdout == ""
