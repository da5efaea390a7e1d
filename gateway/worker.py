"""The background process of `serve`: a Celery worker with beat as a thread beside it, so that one process does both.

Tasks wait for upstreams and the database, so a few threads are enough, and one slow probe does not hold up the sweep. A
site with more work starts its own workers (`celery -A gateway.celery worker`) and serves with `--no-worker`.
"""

from __future__ import annotations

import argparse
import warnings

import django
from celery.beat import EmbeddedService
from celery.platforms import SecurityWarning
from celery.signals import worker_ready

from gateway.celery import app
from gateway.lifeline import Lifeline

THREADS = 4


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.worker")
    parser.add_argument("--lifeline", type=int, required=True, help="our end of the socket pair")
    lifeline = Lifeline(parser.parse_args().lifeline)
    django.setup()
    # Celery warns of root because of pickled tasks; ours are JSON, and in a container root is usual.
    warnings.simplefilter("ignore", SecurityWarning)
    # One worker has nobody to gossip with and is controlled by its parent: no control messages, no heartbeats.
    app.conf.update(worker_enable_remote_control=False, worker_send_task_events=False)
    beat = EmbeddedService(app, thread=True)
    worker = app.Worker(
        pool="threads",
        concurrency=THREADS,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        redirect_stdouts=False,
        loglevel="WARNING",
        quiet=True,
    )

    def started(**_: object) -> None:
        beat.start()
        lifeline.report_ready()

    worker_ready.connect(started, weak=False)
    worker.start()
    if beat.is_alive():
        beat.stop()  # writes down when each task last ran
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    raise SystemExit(main())
