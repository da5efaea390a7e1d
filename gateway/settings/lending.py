"""Who may lend, and how lent credentials are kept alive."""

from __future__ import annotations

from gateway.settings import listen
from gateway.settings.env import env

# open: everybody; invite: whoever has one of LENDING_INVITE_CODES; members: whoever is signed in.
LENDING = env.str("LENDING", default="open")
LENDING_INVITE_CODES = env.list("LENDING_INVITE_CODES", default=[])
LENDING_MAX_PENDING = env.int("LENDING_MAX_PENDING", default=20)
LENDING_ATTEMPTS_PER_HOUR = env.int("LENDING_ATTEMPTS_PER_HOUR", default=20)
# Of the loopback address that Google sends a browser to which does not run on this host: it only has to look like ours.
LENDING_LOOPBACK_PORT = listen.PORT
UPLOAD_MAX_BYTES = env.int("UPLOAD_MAX_BYTES", default=32 * 1024 * 1024)
# Django's 100 would turn the folder of an older gateway away. Files are bounded by their bytes together.
DATA_UPLOAD_MAX_NUMBER_FILES = 5_000

AUTO_LOAD_ENV_CREDS = env.bool("AUTO_LOAD_ENV_CREDS", default=False)
# Each variable GCLI_CREDS_<number or name> is one credential as JSON; GOOGLE_CREDENTIALS is one, as JSON or in base64.
ENV_CREDENTIALS: dict[str, str] = {
    name: value
    for name, value in sorted(env.ENVIRON.items())
    if value and (name.startswith("GCLI_CREDS_") or name == "GOOGLE_CREDENTIALS")
}

CALLS_PER_ROTATION = env.int("CALLS_PER_ROTATION", default=0)
REFRESH_AHEAD_S = env.float("REFRESH_AHEAD_S", default=600.0)
PROBES_PER_HOUR = env.int("PROBES_PER_HOUR", default=60)
QUOTA_READINGS_PER_HOUR = env.int("QUOTA_READINGS_PER_HOUR", default=240)
JOB_RETENTION_DAYS = env.int("JOB_RETENTION_DAYS", default=30)
USE_RETENTION_DAYS = env.int("USE_RETENTION_DAYS", default=400)

# Notices to contributors: smtp+tls://user:password@host:587. Without it they go to webhooks only.
_email_url = env.str("EMAIL_URL", default="")
EMAIL_CONFIGURED = bool(_email_url)
vars().update(env.email_url_config(_email_url or "dummymail://"))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="wellspring@localhost")
EMAIL_TIMEOUT = 20
