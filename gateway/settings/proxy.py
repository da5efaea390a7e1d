"""The proxy's settings. They become one frozen `apiproxy.config.ProxyConfig` when a process starts."""

from __future__ import annotations

from gateway.settings.env import env

_password = env.str("PASSWORD", default="")
API_PASSWORD = env.str("API_PASSWORD", default="") or _password
PANEL_PASSWORD = env.str("PANEL_PASSWORD", default="") or _password
OPERATOR_PASSWORD = env.str("OPERATOR_PASSWORD", default="")

GEMINI_API_URL = env.str("GEMINI_API_URL", default="https://generativelanguage.googleapis.com")
CODE_ASSIST_ENDPOINT = env.str(
    "CODE_ASSIST_ENDPOINT", default="https://cloudcode-pa.googleapis.com"
)
OAUTH_PROXY_URL = env.str("OAUTH_PROXY_URL", default="https://oauth2.googleapis.com")
GOOGLE_AUTH_URL = env.str("GOOGLE_AUTH_URL", default="https://accounts.google.com/o/oauth2/v2/auth")
GOOGLEAPIS_PROXY_URL = env.str("GOOGLEAPIS_PROXY_URL", default="https://www.googleapis.com")
RESOURCE_MANAGER_API_URL = env.str(
    "RESOURCE_MANAGER_API_URL", default="https://cloudresourcemanager.googleapis.com"
)
SERVICE_USAGE_API_URL = env.str(
    "SERVICE_USAGE_API_URL", default="https://serviceusage.googleapis.com"
)
CLOUD_AI_COMPANION_API_URL = env.str(
    "CLOUD_AI_COMPANION_API_URL", default="https://cloudaicompanion.googleapis.com"
)
GOOGLE_OAUTH_CLIENT_ID = env.str("GOOGLE_OAUTH_CLIENT_ID", default="")
GOOGLE_OAUTH_CLIENT_SECRET = env.str("GOOGLE_OAUTH_CLIENT_SECRET", default="")

UPSTREAM_PROXY = env.str("PROXY", default="")
AUTO_BAN = env.bool("AUTO_BAN", default=False)
AUTO_BAN_ERROR_CODES = env.list("AUTO_BAN_ERROR_CODES", cast=int, default=[403])
RETRY_429_ENABLED = env.bool("RETRY_429_ENABLED", default=True)
RETRY_429_MAX_RETRIES = env.int("RETRY_429_MAX_RETRIES", default=5)
RETRY_429_INTERVAL_S = env.float("RETRY_429_INTERVAL", default=1.0)
ANTI_TRUNCATION_MAX_ATTEMPTS = env.int("ANTI_TRUNCATION_MAX_ATTEMPTS", default=3)
COMPATIBILITY_MODE = env.bool("COMPATIBILITY_MODE", default=False)
SAFETY_DEFAULT = env.str("SAFETY_DEFAULT", default="")
LIST_VARIANTS = env.bool("LIST_VARIANTS", default=False)
RETURN_THOUGHTS_TO_FRONTEND = env.bool("RETURN_THOUGHTS_TO_FRONTEND", default=True)
CHAT_IMAGES = env.str("CHAT_IMAGES", default="markdown")
DEFAULT_CHAT_MODEL = env.str("DEFAULT_CHAT_MODEL", default="")
DEFAULT_IMAGE_MODEL = env.str("DEFAULT_IMAGE_MODEL", default="")

MAX_BODY_BYTES = env.int("MAX_BODY_BYTES", default=32 * 1024 * 1024)
SIGNATURE_TTL_HOURS = env.float("SIGNATURE_TTL_HOURS", default=6.0)
RESPONSE_RETENTION_HOURS = env.float("RESPONSE_RETENTION_HOURS", default=24.0)
UPSTREAM_CONNECT_TIMEOUT_S = env.float("UPSTREAM_CONNECT_TIMEOUT_S", default=15.0)
UPSTREAM_READ_TIMEOUT_S = env.float("UPSTREAM_READ_TIMEOUT_S", default=600.0)
UPSTREAM_MAX_CONNECTIONS = env.int("UPSTREAM_MAX_CONNECTIONS", default=2000)
KEEPALIVE_INTERVAL_S = env.float("STREAM_KEEPALIVE_S", default=10.0)
FAKE_STREAM_KEEPALIVE_S = env.float("FAKE_STREAM_KEEPALIVE_S", default=3.0)
FETCH_PRIVATE_HOSTS = env.list("FETCH_PRIVATE_HOSTS", default=[])
FETCH_MAX_BYTES = env.int("FETCH_MAX_BYTES", default=20 * 1024 * 1024)
FETCH_TIMEOUT_S = env.float("FETCH_TIMEOUT_S", default=20.0)
FEED_INTERVAL_S = env.float("FEED_INTERVAL_S", default=0.5)
HOLDER_LEASE_S = env.float("HOLDER_LEASE_S", default=30.0)
DRAIN_TIMEOUT_S = env.int("DRAIN_TIMEOUT_S", default=600)
