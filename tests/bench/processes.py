"""Children of the benchmark: started in groups of their own, so that Ctrl-C reaches only us, and ended by their ids."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 8.0

Json = dict[str, Any]


class Broken(Exception):
    """The benchmark cannot go on; the text says why."""


def environment(**extra: str) -> dict[str, str]:
    """Nothing of the caller's but what a process needs to run: no proxy, no password, no database of theirs."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
    inherited = {name: os.environ[name] for name in kept if name in os.environ}  # noqa: TID251
    return {**inherited, "PYTHONPATH": str(ROOT), **extra}


class Child:
    """A process that talks in JSON lines."""

    def __init__(self, process: subprocess.Popen[str], name: str, log: Path) -> None:
        self._process = process
        self._name = name
        self._log = log
        self.pid = process.pid

    def read(self, timeout_s: float) -> Json:
        readable, _, _ = select.select([self._process.stdout], [], [], timeout_s)
        line = self._process.stdout.readline() if readable else ""
        if not line:
            said = self._log.read_text(errors="replace")[-1500:]
            raise Broken(f"{self._name} says nothing any more. Its last words:\n{said}")
        value: Json = json.loads(line)
        return value

    def ask(self, question: Json, timeout_s: float) -> Json:
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self.read(timeout_s)


@contextmanager
def running(
    command: list[str], *, name: str, folder: Path, env: dict[str, str] | None = None
) -> Iterator[Child]:
    log = folder / f"{name}.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env or environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            process_group=0,
        )
    try:
        yield Child(process, name, log)
    finally:
        end(process)


def python(module: str) -> list[str]:
    return [sys.executable, "-P", "-m", module]


def end(process: subprocess.Popen[str]) -> None:
    """Ask, wait, then kill it and whatever it started."""
    family = [process.pid]
    if process.poll() is None:
        family += [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        for pid in family:
            if psutil.pid_exists(pid):
                psutil.Process(pid).kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        pipe.close()
