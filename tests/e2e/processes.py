"""Processes that a test starts, reads, and ends by their ids."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


def clean_environment(**extra: str) -> dict[str, str]:
    """Nothing of the caller's but what a process needs to run: no proxy, no password, no database of theirs."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
    inherited = {name: os.environ[name] for name in kept if name in os.environ}  # noqa: TID251
    return {**inherited, "PYTHONPATH": str(ROOT), **extra}


class Child:
    """A process whose standard output is JSON lines; everything else it says is in `log`."""

    def __init__(
        self, *arguments: str, env: dict[str, str], log: Path, program: str = sys.executable
    ) -> None:
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [program, *arguments],
                cwd=ROOT,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                process_group=0,
            )

    def read(self, timeout_s: float = START_TIMEOUT_S) -> Any:
        readable, _, _ = select.select([self.process.stdout], [], [], timeout_s)
        line = self.process.stdout.readline() if readable else ""
        if not line:
            said = self._log.read_text(errors="replace")[-3000:]
            raise AssertionError(f"{self.process.args} says nothing. Its last words:\n{said}")
        return json.loads(line)

    def ask(self, question: Any) -> Any:
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self.read()

    def end(self) -> int:
        """Ask it to stop; kill it and whatever it started when it does not. The exit code."""
        family = [self.process.pid]
        if self.process.poll() is None:
            children = psutil.Process(self.process.pid).children(recursive=True)
            family += [child.pid for child in children]
            self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            for pid in family:
                if psutil.pid_exists(pid):
                    psutil.Process(pid).kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()
        return self.process.returncode


def eventually(happened: Callable[[], Any], what: str, timeout_s: float = 20.0) -> Any:
    """The first true result of `happened`, asked again and again; fails in the words of `what`."""
    deadline = time.monotonic() + timeout_s
    while True:
        if result := happened():
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.02)
