"""Celery: Redis when there is one, else folders below DATA_DIR, so that one machine needs no broker.

The schedule is static: it is code, changed by a commit and reviewed with it. django-celery-beat would keep the same
lines in four tables for the sake of editing them at run time, which no operator needs for upkeep.
"""

from __future__ import annotations

from gateway.settings.env import DATA_DIR, env

_redis_url = env.str("REDIS_URL", default="")
_folder = DATA_DIR / "broker"
_task_time_limit_s = env.int("TASK_TIME_LIMIT_S", default=300)

CELERY_BROKER_URL = _redis_url or "filesystem://localhost"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    # A message that was not acknowledged comes back after this long: later than any task may take.
    {
        "visibility_timeout": _task_time_limit_s * 6 // 5,
        # Looked for this often; kombu multiplies the two.
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 5,
    }
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
CELERY_TASK_TIME_LIMIT = _task_time_limit_s
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")
_MINUTE = 60.0
_HOUR = 3600.0
_DAY = 24 * _HOUR
# Task and how often it runs. A message that was not taken until the next one is due is dropped.
_EVERY_S = {
    "gateway.tasks.resume_jobs": 10.0,
    "gateway.tasks.prune_jobs": _DAY / 4,
    "gateway.tasks.clear_sessions": _DAY / 4,
    "quotas.tasks.sweep": env.float("SWEEP_INTERVAL_S", default=10.0),
    "quotas.tasks.prove": _DAY,
    "quotas.tasks.expire_lots": _MINUTE,
    "credentials.tasks.refresh_logins": _MINUTE,
    "credentials.tasks.probe_credentials": _MINUTE,
    "credentials.tasks.notify_contributors": _MINUTE,
    "credentials.tasks.finish_withdrawals": _MINUTE,
    "credentials.tasks.expire_flows": _MINUTE,
    "credentials.tasks.look_up_emails": 5 * _MINUTE,
    "credentials.tasks.discover_projects": 5 * _MINUTE,
    "credentials.tasks.read_quotas": 5 * _MINUTE,
    # Often, as beat may not run at midnight: the first look of a day does the work.
    "credentials.tasks.begin_day": 5 * _MINUTE,
    "credentials.tasks.delete_stale_imports": 10 * _MINUTE,
    "credentials.tasks.prune": _HOUR,
    "credentials.tasks.reward_contributors": _HOUR,
    "apiproxy.tasks.delete_expired_responses": 10 * _MINUTE,
    "apiproxy.tasks.delete_expired_images": 10 * _MINUTE,
    "apiproxy.tasks.delete_expired_idempotent_calls": 10 * _MINUTE,
    "apiproxy.tasks.roll_up": _MINUTE,
    "apiproxy.tasks.roll_up_late": _HOUR,
    "apiproxy.tasks.delete_old_usage": _HOUR,
}
CELERY_BEAT_SCHEDULE = {
    task: {"task": task, "schedule": every_s, "options": {"expires": max(every_s, 60.0)}}
    for task, every_s in _EVERY_S.items()
}
