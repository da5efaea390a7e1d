from django.apps import AppConfig


class ApiproxyConfig(AppConfig):
    name = "apiproxy"
    verbose_name = "Proxy"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apiproxy.answers import Answers
        from credentials import upstream

        upstream.use(Answers())
