"""Django's settings. Production differs by environment, not by file; each concern has a part file beside this one."""

from __future__ import annotations

import sys

import django_stubs_ext

from gateway.lib.keyfiles import secret_from_file
from gateway.lib.site_registry import seeds
from gateway.settings.api import *  # noqa: F403
from gateway.settings.celery import *  # noqa: F403
from gateway.settings.channels import *  # noqa: F403
from gateway.settings.env import BASE_DIR, DATA_DIR, env
from gateway.settings.idempotency import *  # noqa: F403
from gateway.settings.lending import *  # noqa: F403
from gateway.settings.limits import *  # noqa: F403
from gateway.settings.media import *  # noqa: F403
from gateway.settings.media import PUBLIC_URL
from gateway.settings.people import *  # noqa: F403
from gateway.settings.proxy import *  # noqa: F403
from gateway.settings.rewards import *  # noqa: F403
from gateway.settings.usage import *  # noqa: F403

django_stubs_ext.monkeypatch()

VERSION = "0.1.0"

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or secret_from_file(DATA_DIR / "secret.key")
ENCRYPTION_KEYS: list[str] = env.list("ENCRYPTION_KEYS", default=[]) or [
    secret_from_file(DATA_DIR / "encryption.key")
]
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    # It only lends `runserver` its server, and would cost every other process 16 MiB.
    *(["daphne"] if "runserver" in sys.argv else []),
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    *PEOPLE_APPS,  # noqa: F405
    "gateway",
    "accounts",
    "credentials",
    "quotas",
    "apiproxy",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.second_factor.SecondFactorMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "gateway.urls"
ASGI_APPLICATION = "gateway.asgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'wellspring.sqlite3'}")
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Writers queue for the lock at BEGIN instead of failing at their first write; readers never wait (WAL). A commit
    # survives the death of the process; NORMAL leaves out the fsync that only the death of the machine would need.
    # A file for the tests too: an in-memory database shared by threads locks whole tables.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; "
            "PRAGMA cache_size=-16000; PRAGMA journal_size_limit=67108864; "
            # A checkpoint waits for the disk, 5 ms here; at the default of 1,000 pages every sixtieth call met one.
            "PRAGMA wal_autocheckpoint=10000"
        ),
    }
else:
    # A page is served in a thread of its own, and a connection kept by each would use the server's up.
    DATABASES["default"]["OPTIONS"] = {
        "pool": {
            "min_size": 1,
            "max_size": env.int("DATABASE_POOL_SIZE", default=10),
            # A database that is away is told to callers soon, and found again as soon as it is back: the pool would otherwise
            # wait twice as long after each attempt, up to minutes.
            "timeout": 5,
            "reconnect_timeout": 2,
        }
    }
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LANGUAGE_CODE = "en"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Static files are served from where they lie: there is nothing to collect.
WHITENOISE_USE_FINDERS = True

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# A site that says it is reached by TLS hands its cookies to nothing else.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
if _proxy_header := env.str("SECURE_PROXY_SSL_HEADER", default=""):
    # The header a TLS proxy in front sets to "https", such as X-Forwarded-Proto.
    SECURE_PROXY_SSL_HEADER = (f"HTTP_{_proxy_header.upper().replace('-', '_')}", "https")

SPECTACULAR_SETTINGS = {
    "TITLE": "Wellspring",
    "VERSION": VERSION,
    "DESCRIPTION": DESCRIPTION,  # noqa: F405
    "SERVE_INCLUDE_SCHEMA": False,
    # From this site, like everything a page asks for.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "persistAuthorization": False,
        "validatorUrl": None,
    },
    "SORT_OPERATION_PARAMETERS": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "gateway.lib.schema.with_errors",
        "gateway.lib.examples.with_examples",
    ],
    "ENUM_NAME_OVERRIDES": {
        "CredentialStateEnum": "credentials.models.CREDENTIAL_STATES",
        "ModelStateEnum": "credentials.models.MODEL_STATES",
        "KeyStateEnum": "accounts.api.key_serializers.KEY_STATES",
        "InvitationStateEnum": "accounts.api.people_serializers.INVITATION_STATES",
    },
}

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
_seeds, CONFIG_FILE_PROBLEMS = seeds(CONFIG_FILE, FIXED_BY_ENVIRONMENT)  # noqa: F405
vars().update(_seeds)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname:<7} {name}: {message}", "style": "{"},
    },
    "filters": {"links": {"()": "gateway.lib.logs.WithoutLinks"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["links"]}
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
    },
}
