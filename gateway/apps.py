from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # In every process: tasks find their broker, and the checks run.
        import gateway.checks
        import gateway.media_checks
        import gateway.tasks  # noqa: F401
        from gateway import watch
        from gateway.celery import app

        watch.register(app)
