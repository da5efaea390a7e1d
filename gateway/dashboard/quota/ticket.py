"""Who typed a key may look for half an hour: the browser keeps a signed ticket, never the key.

A cookie without an end, below /quota, hidden from scripts and from other sites. It names the key by its public id and ends with the secret that
was shown. So the key is in no address, no history, no page and no session; it travels once.
"""

from __future__ import annotations

import hashlib
import hmac

from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponse

from accounts import standing
from accounts.models import ApiKey
from accounts.standing import Secret, Shown

COOKIE = "wellspring_quota"
PATH = "/quota"
AGE_S = 30 * 60
"""Since the last look."""
_LONGEST = 200

_signer = TimestampSigner(salt="gateway.dashboard.quota.ticket")


def of_request(request: HttpRequest) -> Shown | None:
    """The key that this browser has shown lately; None when it was given a new secret twice since, or was deleted."""
    value = request.COOKIES.get(COOKIE, "")
    if not value or len(value) > _LONGEST:
        return None
    try:
        public_id, _, mark = _signer.unsign(value, max_age=AGE_S).partition(".")
    except BadSignature:
        return None
    key = standing.by_public_id(public_id)
    if key is None:
        return None
    if hmac.compare_digest(mark, _mark(key.digest)):
        return Shown(key, Secret.CURRENT)
    if key.previous_digest and hmac.compare_digest(mark, _mark(key.previous_digest)):
        return Shown(key, standing.secret_before(key))
    return None


def give(request: HttpRequest, response: HttpResponse, shown: Shown) -> None:
    key: ApiKey = shown.key
    digest = key.digest if shown.secret is Secret.CURRENT else key.previous_digest
    response.set_cookie(
        COOKIE,
        _signer.sign(f"{key.public_id}.{_mark(digest)}"),
        path=PATH,
        secure=request.is_secure(),
        httponly=True,
        samesite="Strict",
    )


def take_back(response: HttpResponse) -> None:
    response.delete_cookie(COOKIE, path=PATH, samesite="Strict")


def _mark(digest: str) -> str:
    """Tells one secret from another without telling its digest."""
    return hashlib.sha256(f"ticket {digest}".encode()).hexdigest()[:20]
