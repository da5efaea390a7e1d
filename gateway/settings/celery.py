"""Celery: Redis when there is one, else folders below DATA_DIR, so that one machine needs no broker.

The schedule is static: it is code, changed by a commit and reviewed with it. django-celery-beat would keep the same
lines in four tables for the sake of editing them at run time, which no operator needs for upkeep.
"""

from __future__ import annotations

from gateway.settings.env import DATA_DIR, env

_redis_url = env.str("REDIS_URL", default="")
_folder = DATA_DIR / "broker"

CELERY_BROKER_URL = _redis_url or "filesystem://localhost"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {}
    if _redis_url
    else {
        "data_folder_in": str(_folder / "queue"),
        "data_folder_out": str(_folder / "queue"),
        "control_folder": str(_folder / "control"),
    }
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = 300
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    "sweep-abandoned-holds": {
        "task": "quotas.tasks.sweep",
        "schedule": env.float("SWEEP_INTERVAL_S", default=10.0),
        "options": {"expires": 60},
    },
    "delete-expired-responses": {
        "task": "apiproxy.tasks.delete_expired_responses",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    "delete-expired-images": {
        "task": "apiproxy.tasks.delete_expired_images",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    "prove-the-ledger": {
        "task": "quotas.tasks.prove",
        "schedule": 24 * 3600.0,
        "options": {"expires": 3600},
    },
}
