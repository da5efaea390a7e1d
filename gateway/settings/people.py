"""How people sign in and sign up. allauth's own settings follow from the few that an operator sets."""

from __future__ import annotations

from typing import Any

from gateway.settings.env import env
from gateway.settings.lending import EMAIL_CONFIGURED

# open: everybody; invite: whoever has an invitation; closed: nobody.
SIGN_UP = env.str("SIGN_UP", default="invite")
REQUIRE_OPERATOR_2FA = env.bool("REQUIRE_OPERATOR_2FA", default=False)

# Accounts elsewhere. Each is on when its id and secret are set.
OIDC_SERVER_URL = env.str("OIDC_SERVER_URL", default="")
OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", default="")
OIDC_NAME = env.str("OIDC_NAME", default="Single sign-on")
GITHUB_CLIENT_ID = env.str("GITHUB_CLIENT_ID", default="")
GITHUB_CLIENT_SECRET = env.str("GITHUB_CLIENT_SECRET", default="")

# Attempts to sign in that fail: of one address in a minute, for one account in five minutes.
SIGN_IN_FAILURES_BY_ADDRESS = env.int("SIGN_IN_FAILURES_BY_ADDRESS", default=10)
SIGN_IN_FAILURES_BY_ACCOUNT = env.int("SIGN_IN_FAILURES_BY_ACCOUNT", default=5)
SIGN_UPS_BY_ADDRESS = env.int("SIGN_UPS_BY_ADDRESS", default=20)

OIDC_CONFIGURED = bool(OIDC_SERVER_URL and OIDC_CLIENT_ID and OIDC_CLIENT_SECRET)
GITHUB_CONFIGURED = bool(GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET)

PEOPLE_APPS = [
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    *(["allauth.socialaccount.providers.openid_connect"] if OIDC_CONFIGURED else []),
    *(["allauth.socialaccount.providers.github"] if GITHUB_CONFIGURED else []),
]
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "accounts:profile"
# Of links that an operator hands out, and of those sent by e-mail.
PASSWORD_RESET_TIMEOUT = 24 * 3600

ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
# An address is where a person wants mail. Nothing is granted for having one, so nobody has to prove it.
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_NOTIFICATIONS = EMAIL_CONFIGURED
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_LOGOUT_REDIRECT_URL = "dashboard:landing"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60
ACCOUNT_RATE_LIMITS = {
    "login": "60/m/ip",
    "login_failed": (f"{SIGN_IN_FAILURES_BY_ADDRESS}/m/ip,{SIGN_IN_FAILURES_BY_ACCOUNT}/300s/key"),
    "signup": f"{SIGN_UPS_BY_ADDRESS}/m/ip",
}

MFA_ADAPTER = "accounts.adapter.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Wellspring"
# Clocks of phones are some seconds off.
MFA_TOTP_TOLERANCE = 1
MFA_ALLOW_UNVERIFIED_EMAIL = True

SOCIALACCOUNT_ADAPTER = "accounts.adapter.SocialAdapter"
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
# The same address elsewhere does not make somebody the person here.
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_PROVIDERS: dict[str, dict[str, Any]] = {}
if OIDC_CONFIGURED:
    SOCIALACCOUNT_PROVIDERS["openid_connect"] = {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": OIDC_NAME,
                "client_id": OIDC_CLIENT_ID,
                "secret": OIDC_CLIENT_SECRET,
                "settings": {"server_url": OIDC_SERVER_URL},
            }
        ],
    }
if GITHUB_CONFIGURED:
    SOCIALACCOUNT_PROVIDERS["github"] = {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [{"client_id": GITHUB_CLIENT_ID, "secret": GITHUB_CLIENT_SECRET}],
    }
