"""Ends a worker process in which a task hangs.

A thread cannot be ended from outside, so Celery's time limits do nothing for a pool of threads. Here the process ends whole
and is started again, by `serve` or by whatever runs the worker, and what it had in hand comes back: messages are
acknowledged late, jobs and upkeep hold leases. What does not hang is given a moment to be put back first.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from celery import Celery, Task
from celery.bootsteps import StartStopStep
from celery.signals import task_postrun, task_prerun, worker_init, worker_process_init

from gateway.lib import jobs

logger = logging.getLogger(__name__)

GRACE_S = 10.0
EXIT_CODE = 70
_TICK_S = 1.0


class Watch:
    """Knows what each thread of this process does, and until when it may."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: dict[int, tuple[str, float]] = {}

    def begun(self, task: Task[Any, Any], **_: object) -> None:
        limit_s = task.time_limit or task.app.conf.task_time_limit
        self._running[threading.get_ident()] = (task.name, self._clock() + limit_s)

    def over(self, **_: object) -> None:
        self._running.pop(threading.get_ident(), None)

    def hanging(self) -> list[str]:
        """The names of tasks that are past their time limit, and of jobs that make no step."""
        now = self._clock()
        late = [name for name, until in list(self._running.values()) if now > until]
        return late + jobs.hanging()


def start(**_: object) -> None:
    watch = Watch()
    task_prerun.connect(watch.begun, weak=False)
    task_postrun.connect(watch.over, weak=False)
    threading.Thread(target=_guard, args=(watch,), daemon=True, name="watch").start()


def _guard(watch: Watch) -> None:
    while not (names := watch.hanging()):
        time.sleep(_TICK_S)
    logger.critical("%s hangs: this worker ends, to be started again", ", ".join(names))
    jobs.put_back_all()
    time.sleep(GRACE_S)
    os._exit(EXIT_CODE)


class PutBack(StartStopStep):  # type: ignore[misc]
    """Before the worker waits for what its threads have in hand: a job may be long, and another worker goes on with it. Not by the
    signal of a stop, as a worker also stops by itself, when Celery does not get over the loss of its broker."""

    requires = ("celery.worker.components:Pool",)

    def stop(self, _worker: object) -> None:
        jobs.put_back_all()

    terminate = stop


def register(app: Celery) -> None:
    """In every process that runs tasks, whichever pool it belongs to."""
    worker_init.connect(start, weak=False)
    worker_process_init.connect(start, weak=False)
    app.steps["worker"].add(PutBack)
