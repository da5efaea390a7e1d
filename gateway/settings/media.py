"""Where the pictures lie that answers link to: a folder below DATA_DIR, or an S3-compatible bucket."""

from __future__ import annotations

from typing import Any

from gateway.settings.env import DATA_DIR, env
from gateway.settings.listen import FORWARDED_ALLOW_IPS

PUBLIC_URL = env.str("PUBLIC_URL", default="").rstrip("/")
TRUSTED_PROXIES: str = FORWARDED_ALLOW_IPS
MEDIA_ROOT = DATA_DIR / "media"
MEDIA_URL = "/media/"
MEDIA_LINK_HOURS = env.float("MEDIA_LINK_HOURS", default=24.0)
MEDIA_RETENTION_HOURS = env.float("MEDIA_RETENTION_HOURS", default=24.0)

S3_BUCKET = env.str("S3_BUCKET", default="")
S3_ENDPOINT_URL = env.str("S3_ENDPOINT_URL", default="")
S3_REGION = env.str("S3_REGION", default="us-east-1")
S3_ACCESS_KEY_ID = env.str("S3_ACCESS_KEY_ID", default="")
S3_SECRET_ACCESS_KEY = env.str("S3_SECRET_ACCESS_KEY", default="")
S3_PUBLIC_URL = env.str("S3_PUBLIC_URL", default="").rstrip("/")
S3_SIGNED = env.bool("S3_SIGNED", default=True)

# A link to what has been deleted is no use.
_link_s = int(min(MEDIA_LINK_HOURS, MEDIA_RETENTION_HOURS) * 3600)
_public_scheme, _, _public_place = S3_PUBLIC_URL.partition("//")

_folder: dict[str, Any] = {
    "BACKEND": "apiproxy.media_folder.MediaFolder",
    "OPTIONS": {
        "location": MEDIA_ROOT,
        "base_url": MEDIA_URL,
        "link_s": _link_s,
        "file_permissions_mode": 0o600,
        "directory_permissions_mode": 0o700,
    },
}
# Named by its path, so that only a site with a bucket loads boto3: it costs every process 20 MiB.
_bucket: dict[str, Any] = {
    "BACKEND": "apiproxy.media_bucket.MediaBucket",
    "OPTIONS": {
        "bucket_name": S3_BUCKET,
        "endpoint_url": S3_ENDPOINT_URL or None,
        "region_name": S3_REGION or None,
        "access_key": S3_ACCESS_KEY_ID,
        "secret_key": S3_SECRET_ACCESS_KEY,
        "custom_domain": _public_place or None,
        "url_protocol": _public_scheme or "https:",
        "querystring_auth": S3_SIGNED,
        "querystring_expire": _link_s,
    },
}

STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "media": _bucket if S3_BUCKET else _folder,
}
