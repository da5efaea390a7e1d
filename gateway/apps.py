from celery.signals import worker_shutting_down
from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # In every process: tasks find their broker, and the checks run.
        import gateway.celery
        import gateway.checks
        import gateway.media_checks
        import gateway.tasks  # noqa: F401
        from gateway.lib import jobs

        # A job may take longer than a worker that is told to stop is given: another goes on with it.
        worker_shutting_down.connect(jobs.put_back_all, weak=False)
