"""Where people reach this site."""

from __future__ import annotations

from typing import Any

from django.conf import settings


def site_of(request: Any) -> str:
    """Without a closing slash: PUBLIC_URL, else as this request came."""
    site: str = settings.PUBLIC_URL or request.build_absolute_uri("/")
    return site.rstrip("/")
