"""Where people sign in, sign up and look after their account. Of allauth's pages those that are of use here, under its own names."""

from __future__ import annotations

from allauth.account import views as account
from allauth.mfa.base import views as factors
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from allauth.socialaccount import views as social
from allauth.urls import build_provider_urlpatterns
from allauth.usersessions import views as sessions
from django.conf import settings
from django.urls import URLPattern, URLResolver, path, re_path
from django.views.decorators.cache import never_cache

from accounts.forms.factors import AuthenticateForm, ReauthenticateForm
from accounts.views import elsewhere, joining

urlpatterns: list[URLPattern | URLResolver] = [
    path("login", account.login, name="account_login"),
    path("logout", account.logout, name="account_logout"),
    path("inactive", account.account_inactive, name="account_inactive"),
    path("signup", joining.sign_up, name="account_signup"),
    path("reauthenticate", account.reauthenticate, name="account_reauthenticate"),
    path("password/change", account.password_change, name="account_change_password"),
    path("password/set", account.password_set, name="account_set_password"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/set",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("2fa/", factors.index, name="mfa_index"),
    path(
        "2fa/authenticate",
        factors.AuthenticateView.as_view(form_class=AuthenticateForm),
        name="mfa_authenticate",
    ),
    path(
        "2fa/reauthenticate",
        factors.ReauthenticateView.as_view(form_class=ReauthenticateForm),
        name="mfa_reauthenticate",
    ),
    path("2fa/app", never_cache(totp.activate_totp), name="mfa_activate_totp"),
    path("2fa/app/remove", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("2fa/codes", never_cache(recovery.view_recovery_codes), name="mfa_view_recovery_codes"),
    path("2fa/codes/new", recovery.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path(
        "2fa/codes/download",
        recovery.download_recovery_codes,
        name="mfa_download_recovery_codes",
    ),
    path("sessions", sessions.list_usersessions, name="usersessions_list"),
]

# Anybody can ask for such a mail, by whatever host is taken here: its link has to lead where the operator says.
if settings.EMAIL_CONFIGURED and (settings.PUBLIC_URL or "*" not in settings.ALLOWED_HOSTS):
    urlpatterns += [
        path("password/reset", account.password_reset, name="account_reset_password"),
        path(
            "password/reset/sent", account.password_reset_done, name="account_reset_password_done"
        ),
    ]

# Without a provider nothing leads there; the names are reversed by allauth itself.
urlpatterns += [
    path("social", social.connections, name="socialaccount_connections"),
    path("social/signup", joining.social_sign_up, name="socialaccount_signup"),
    path("social/cancelled", social.login_cancelled, name="socialaccount_login_cancelled"),
    path("social/error", social.login_error, name="socialaccount_login_error"),
    *elsewhere.told(build_provider_urlpatterns()),
]
