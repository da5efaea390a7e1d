from django.apps import AppConfig, apps


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Only now: these need the models.
        from accounts import sign_in_log

        sign_in_log.follow()
        if apps.is_installed("allauth.mfa"):
            from accounts import factor_log

            factor_log.follow()
