"""The Celery application."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import worker_ready
from django.conf import settings

from gateway import filebroker

filebroker.register()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings.base")  # noqa: TID251

app = Celery("wellspring")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()


def load_environment(**_: object) -> None:
    """Every worker, wherever it starts, sees that the credentials of the environment are in the pool."""
    if settings.AUTO_LOAD_ENV_CREDS:
        app.send_task("credentials.tasks.load_environment", expires=60.0)


worker_ready.connect(load_environment, weak=False)
