"""The Celery application."""

from __future__ import annotations

import os

from celery import Celery

from gateway import filebroker

filebroker.register()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings.base")  # noqa: TID251

app = Celery("wellspring")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()
