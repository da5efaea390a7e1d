"""/claim/<code>: somebody fetches the key that waits for them. No login: whoever has the link has the key, once."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import keys, links, services, standing
from accounts.models import KeyClaim
from accounts.sites import site_of
from gateway.lib.errors import PermissionDenied

_WITH_ITS_KEY = tuple(f"key__{name}" for name in links.WITH_ITS_TERMS)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def claim(request: HttpRequest, code: str) -> HttpResponse:
    """Looking fetches nothing: chat programs open links to preview them."""
    waiting = _waiting(code)
    if waiting is None:
        return _private(render(request, "accounts/claim_closed.html", status=404))
    if not _open(waiting):
        facts: dict[str, Any] = {"claimed": waiting.claimed_at is not None}
        return _private(render(request, "accounts/claim_closed.html", facts, status=410))
    if request.method != "POST":
        now = timezone.now()
        key = waiting.key
        facts = {
            "claim": waiting,
            "key": key,
            "limits": standing.own_credit_limits(key, now),
        }
        return _private(render(request, "accounts/claim.html", facts))
    try:
        key, secret = services.claim_key(code=code, address=request.META.get("REMOTE_ADDR") or "")
    except PermissionDenied:  # somebody was faster
        facts = {"claimed": True}
        return _private(render(request, "accounts/claim_closed.html", facts, status=410))
    facts = {
        "key": key,
        "secret": secret,
        "site": site_of(request),
        "share_link": links.share_link(key, site_of(request)),
    }
    return _private(render(request, "accounts/key_once.html", facts))


def _waiting(code: str) -> KeyClaim | None:
    found = KeyClaim.objects.filter(digest=keys.digest_of(code))
    return found.select_related(*_WITH_ITS_KEY).first()


def _open(claim: KeyClaim) -> bool:
    key = claim.key
    return (
        claim.claimed_at is None
        and claim.expires_at > timezone.now()
        and key.state_at(timezone.now()) in ("active", "paused")
    )


def _private(answer: HttpResponse) -> HttpResponse:
    """The address is the secret: no site that the page leads to is told more than where it lies. Not no-referrer, with which
    browsers send forms without an origin, and Django takes none of those."""
    answer["Referrer-Policy"] = "strict-origin"
    answer["X-Robots-Tag"] = "noindex"
    return answer
