"""`manage.py serve`: the whole gateway in the foreground."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from gateway.settings import listen
from gateway.settings.env import BASE_DIR, env


class Command(BaseCommand):
    help = "Serve the gateway: web processes, and a Celery worker with beat. SIGTERM drains running calls."
    requires_system_checks = "__all__"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=listen.HOST)
        parser.add_argument("--port", type=int, default=listen.PORT, help="0 takes a free one")
        parser.add_argument("--workers", type=int, default=listen.WORKERS, help="web processes")
        parser.add_argument(
            "--no-worker", action="store_true", help="no Celery here: workers run elsewhere"
        )
        parser.add_argument("--json", action="store_true", help="the line of readiness as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["workers"] < 1:
            raise CommandError("--workers must be at least 1")
        make_broker_folders()
        # Django has done its part, the checks: the parent of the children goes on without its memory.
        argv = [sys.executable, "-P", "-m", "gateway.supervisor"]
        argv += ["--host", options["host"], "--port", str(options["port"])]
        argv += ["--workers", str(options["workers"]), "--drain-s", str(settings.DRAIN_TIMEOUT_S)]
        argv += ["--no-worker"] * options["no_worker"] + ["--json"] * options["json"]
        os.execve(sys.executable, argv, environment())


def environment() -> dict[str, str]:
    """The project can be imported from any folder; the worker does not repeat the checks that have just passed."""
    folders = [str(BASE_DIR), env.ENVIRON.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, folders))
    return {**env.ENVIRON, "PYTHONPATH": path, "CELERY_SKIP_CHECKS": "true"}


def make_broker_folders() -> None:
    """The file-system broker writes into its folders but does not make them."""
    for name in ("data_folder_in", "data_folder_out", "control_folder"):
        if folder := settings.CELERY_BROKER_TRANSPORT_OPTIONS.get(name):
            Path(folder).mkdir(parents=True, exist_ok=True)
