from django.apps import AppConfig


class ApiproxyConfig(AppConfig):
    name = "apiproxy"
    verbose_name = "Proxy"
    default_auto_field = "django.db.models.BigAutoField"
