"""The parent of `serve`: holds the port, starts the processes that do the work, restarts them, lets them finish.

Imports the standard library only: beside its children it weighs next to nothing. Each child holds one end of a socket
pair (gateway/lifeline.py): by it the child tells that it is ready, and notices when the parent is gone.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

BACKLOG = 2048
TICK_S = 0.25
# A child that lives less than this has died of its start.
QUICK_DEATH_S = 10.0
QUICK_DEATHS_ALLOWED = 4
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0
# Patience: with a web process beyond its own time to drain, with the worker, with all after a second signal.
DRAIN_MARGIN_S = 15.0
# Every task may be killed and run again; this is for what talks to Google just now.
WORKER_STOP_S = 10.0
HURRY_S = 5.0

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def say(words: str) -> None:
    sys.stderr.write(f"serve: {words}\n")
    sys.stderr.flush()


@dataclass(eq=False)
class Child:
    name: str
    argv: list[str]
    pass_fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    lifeline: socket.socket | None = None
    ready: bool = False
    started_s: float = 0.0
    start_at_s: float = 0.0
    quick_deaths: int = 0

    def start(self, now_s: float) -> socket.socket:
        """Returns our end of the lifeline, which becomes readable when the child is ready or dead."""
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [*self.argv, "--lifeline", str(theirs.fileno())],
                pass_fds=(*self.pass_fds, theirs.fileno()),
                # A process group of its own: Ctrl-C reaches the parent alone, which stops the rest in order.
                process_group=0,
            )
        self.lifeline, self.ready, self.started_s = ours, False, now_s
        return ours

    def exit_code(self) -> int | None:
        return self.process.poll() if self.process else None

    def bury(self, now_s: float) -> None:
        """Forget the dead process; the next one waits the longer, the more have died of their start in a row."""
        if self.lifeline:
            self.lifeline.close()
        self.process, self.lifeline, self.ready = None, None, False
        self.quick_deaths = self.quick_deaths + 1 if now_s - self.started_s < QUICK_DEATH_S else 0
        pause_s = FIRST_PAUSE_S * 2.0**self.quick_deaths if self.quick_deaths else 0.0
        self.start_at_s = now_s + min(pause_s, LONGEST_PAUSE_S)

    def send(self, number: int) -> None:
        if self.process:
            self.process.send_signal(number)


class Supervisor:
    """Serves, drains its web processes, then closes the worker: their last requests may still queue tasks."""

    def __init__(
        self,
        *,
        web: list[Child],
        worker: Child | None,
        listener: socket.socket,
        drain_s: int,
        announce: Callable[[], None],
    ) -> None:
        self._web = web
        self._worker = [worker] if worker else []
        self._listener = listener
        self._drain_s = drain_s
        self._announce = announce
        self._announced = False
        self._exit_code = 0
        self._leaving: list[Child] | None = None
        self._deadline_s = 0.0
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Until everything has stopped; returns the exit code."""
        self._take_signals()
        while True:
            now_s = time.monotonic()
            self._bury_the_dead(now_s)
            if self._leaving is None:
                self._start_due(now_s)
            elif not self._alive(self._web + self._worker):
                return self._exit_code
            else:
                self._go_on_leaving(self._leaving, now_s)
            for number in self._wait():
                if number in STOP_SIGNALS:
                    self._leave() if self._leaving is None else self._hurry()

    @staticmethod
    def _alive(children: list[Child]) -> bool:
        return any(child.process for child in children)

    def _take_signals(self) -> None:
        self._signals, self._wakeup = socket.socketpair()
        self._signals.setblocking(False)
        self._wakeup.setblocking(False)
        signal.set_wakeup_fd(self._wakeup.fileno())
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._selector.register(self._signals, selectors.EVENT_READ)

    def _wait(self) -> bytes:
        """The numbers of the signals that came within a tick; shorter when a child speaks or dies."""
        numbers = b""
        for key, _ in self._selector.select(TICK_S):
            if key.data is None:
                numbers = self._signals.recv(64)
            else:
                self._hear(key.data)
        return numbers

    def _hear(self, child: Child) -> None:
        assert child.lifeline
        self._selector.unregister(child.lifeline)
        try:
            child.ready = child.lifeline.recv(1) == b"r"
        except ConnectionResetError:
            return
        if not self._announced and all(web.ready for web in self._web):
            self._announced = True
            self._announce()

    def _start_due(self, now_s: float) -> None:
        for child in self._web + self._worker:
            if child.process is None and now_s >= child.start_at_s:
                self._selector.register(child.start(now_s), selectors.EVENT_READ, child)

    def _bury_the_dead(self, now_s: float) -> None:
        for child in self._web + self._worker:
            code = child.exit_code()
            if code is None:
                continue
            if child.lifeline and child.lifeline in self._selector.get_map():
                self._selector.unregister(child.lifeline)
            child.bury(now_s)
            if self._leaving is None:
                self._judge(child, code)

    def _judge(self, child: Child, code: int) -> None:
        if child in self._web and child.quick_deaths >= QUICK_DEATHS_ALLOWED:
            say(f"{child.name} keeps dying at its start (last exit code {code}): giving up")
            self._exit_code = 1
            self._leave()
        else:
            say(f"{child.name} died (exit code {code}): starting it again")

    def _leave(self) -> None:
        self._listener.close()
        self._ask(self._web, self._drain_s + DRAIN_MARGIN_S)

    def _go_on_leaving(self, leaving: list[Child], now_s: float) -> None:
        if not self._alive(leaving):
            self._ask(self._worker, WORKER_STOP_S)
        elif now_s >= self._deadline_s:
            for child in leaving:
                child.send(signal.SIGKILL)

    def _hurry(self) -> None:
        self._ask(self._web + self._worker, HURRY_S)

    def _ask(self, children: list[Child], patience_s: float) -> None:
        for child in children:
            child.send(signal.SIGTERM)
        self._leaving = children
        self._deadline_s = time.monotonic() + patience_s


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError when the port is taken or the address is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server(
        (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::"
    )


def web_child(number: int, options: argparse.Namespace, fd: int) -> Child:
    argv = [sys.executable, "-P", "-m", "gateway.server", "--app", options.app]
    argv += ["--fd", str(fd), "--backlog", str(BACKLOG), "--drain-s", str(options.drain_s)]
    return Child(name=f"web process {number}", argv=argv, pass_fds=(fd,))


def worker_child() -> Child:
    return Child(name="worker", argv=[sys.executable, "-P", "-m", "gateway.worker"])


def main() -> int:
    options = _arguments()
    try:
        listener = listen(options.host, options.port)
    except OSError as exc:
        say(f"cannot listen on {options.host} port {options.port}: {exc.strerror}")
        return 1
    fd = listener.fileno()
    port = listener.getsockname()[1]
    web = [web_child(number, options, fd) for number in range(1, options.workers + 1)]
    worker = worker_child() if options.worker else None

    def announce() -> None:
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{port}"
        facts = {
            "url": url,
            "pid": os.getpid(),
            "web": [child.process.pid for child in web if child.process],
            "worker": worker.process.pid if worker and worker.process else None,
        }
        ready = json.dumps(facts) if options.json else f"Wellspring is ready on {url}"
        sys.stdout.write(ready + "\n")
        sys.stdout.flush()

    supervisor = Supervisor(
        web=web, worker=worker, listener=listener, drain_s=options.drain_s, announce=announce
    )
    return supervisor.run()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway.supervisor")
    parser.add_argument("--app", default="gateway.asgi:application")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--worker", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--drain-s", type=int, required=True)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
