"""The panel password, and the token that stands for it after a login by the older gateways' way."""

from __future__ import annotations

import hashlib
import hmac

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner

TOKEN_AGE_S = 24 * 3600
_signer = TimestampSigner(salt="gateway.lib.panel")


def is_configured() -> bool:
    return bool(settings.PANEL_PASSWORD)


def is_password(text: str) -> bool:
    """Constant-time. Without PANEL_PASSWORD, nothing is."""
    expected: str = settings.PANEL_PASSWORD
    return bool(expected) and hmac.compare_digest(text.encode(errors="replace"), expected.encode())


def make_token() -> str:
    """For whoever gave the password. It ends after a day, and with the password."""
    return _signer.sign(_mark())


def is_token(text: str) -> bool:
    if not settings.PANEL_PASSWORD:
        return False
    try:
        return hmac.compare_digest(_signer.unsign(text, max_age=TOKEN_AGE_S), _mark())
    except BadSignature:
        return False


def _mark() -> str:
    """Tells one password from another without telling it."""
    return hashlib.sha256(f"{settings.SECRET_KEY}:{settings.PANEL_PASSWORD}".encode()).hexdigest()[
        :16
    ]
