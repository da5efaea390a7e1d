"""System checks of where pictures are stored and under which address they are linked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

ADDRESSES = ("PUBLIC_URL", "S3_ENDPOINT_URL", "S3_PUBLIC_URL")
OF_A_BUCKET = ("S3_ENDPOINT_URL", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_PUBLIC_URL")
KEPT_HOURS = ("MEDIA_RETENTION_HOURS", "RESPONSE_RETENTION_HOURS", "SIGNATURE_TTL_HOURS")
# A hundred years; the calendar ends at 9999.
MOST_HOURS = 100 * 366 * 24
# Longer is refused by S3's signatures.
LONGEST_SIGNED_HOURS = 7 * 24


@register()
def check_addresses(**_: Any) -> Iterator[CheckMessage]:
    for name in ADDRESSES:
        if not _is_address(getattr(settings, name)):
            yield Error(
                f"{name} is not an address.",
                hint="Give scheme and host, and a path where there is one: https://gateway.example",
                id="gateway.E030",
            )


@register()
def check_bucket(**_: Any) -> Iterator[CheckMessage]:
    if not settings.S3_BUCKET:
        for name in OF_A_BUCKET:
            if getattr(settings, name):
                yield Error(
                    f"{name} is set, but S3_BUCKET is not: pictures would go into a folder.",
                    hint=f"Name the bucket, or leave {name} out.",
                    id="gateway.E031",
                )
        return
    if bool(settings.S3_ACCESS_KEY_ID) is not bool(settings.S3_SECRET_ACCESS_KEY):
        yield Error(
            "Of S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY only one is set.",
            hint="Set both, or neither where the machine itself is let in (an instance's role).",
            id="gateway.E032",
        )
    hours = min(settings.MEDIA_LINK_HOURS, settings.MEDIA_RETENTION_HOURS)
    if settings.S3_SIGNED and not settings.S3_PUBLIC_URL and hours > LONGEST_SIGNED_HOURS:
        yield Error(
            f"S3 signs links for at most {LONGEST_SIGNED_HOURS} hours, and they are to work for {hours:g}.",
            hint="Lower MEDIA_LINK_HOURS, or make the bucket public and set S3_PUBLIC_URL.",
            id="gateway.E033",
        )


@register()
def check_hours(**_: Any) -> Iterator[CheckMessage]:
    for name in KEPT_HOURS:
        if not 0 <= getattr(settings, name) <= MOST_HOURS:
            yield Error(
                f"{name} must lie between 0 and {MOST_HOURS}.",
                hint="It is in hours: 24 is a day, 720 a month.",
                id="gateway.E034",
            )


def _is_address(url: str) -> bool:
    """Empty is one: none is needed."""
    if not url:
        return True
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usable and parts.scheme in ("http", "https") and not parts.query and not parts.fragment
