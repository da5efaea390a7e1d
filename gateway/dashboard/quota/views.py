"""/quota: the key is typed and sent once, or a share link is opened; then everything about the key on one page.

A typed key opens the whole page. A share link, which may go from hand to hand, and a secret that was replaced show the balance, the key's
own limits and the use by model; of requests the time, the model, how they ended and what they cost, but no ids, receipts or error texts,
and they can redeem nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import links, standing
from accounts.models import ApiKey
from accounts.standing import Secret, Shown
from gateway.dashboard.quota import activity, ticket, words
from gateway.dashboard.quota.forms import CodeForm, KeyForm
from gateway.dashboard.quota.offers import offers
from gateway.dashboard.quota.usage import SHOWN, SPANS, usage
from gateway.lib import audit
from gateway.lib.credits import to_text
from gateway.lib.errors import GatewayError
from gateway.lib.throttles import address_of, count, seconds_left
from gateway.templatetags.amounts import credits as credits_of
from quotas import services as quota_services

_View = Callable[..., HttpResponse]

_UNKNOWN = "There is no such key here. Copy it whole: it begins with sk- and has 51 characters. If it was deleted or replaced, ask for the new one."
_PASSWORD = (
    "This is the password of this site, not a key: it has no limit, and nothing is counted for it."  # noqa: S105
)
_ASK_AGAIN = "Show your key once more: this page forgets it after half an hour."


def private(view: _View) -> _View:
    """Kept by nobody on the way, found by no search. Forms here need their origin, which "no-referrer" would hide, and no address with a
    form holds a secret; the address of a share link does."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        response["X-Robots-Tag"] = "noindex"
        response["Referrer-Policy"] = "no-referrer" if "token" in kwargs else "same-origin"
        patch_vary_headers(response, ["Cookie"])
        return response

    return page


@private
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("key")
def quota(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _look(request)
    shown = ticket.of_request(request)
    if shown is None:
        response = _ask(request, KeyForm())
        if ticket.COOKIE in request.COOKIES:
            ticket.take_back(response)
        return response
    response = render(request, "quota/key.html", _whole(request, shown))
    ticket.give(request, response, shown)
    return response


@sensitive_variables("presented")
def _look(request: HttpRequest) -> HttpResponse:
    form = KeyForm(request.POST)
    if (wait_s := _too_many(request)) is not None:
        form.add_error(None, "Too many keys came from your address. Wait a minute and try again.")
        response = _ask(request, form, 429)
        response["Retry-After"] = str(int(wait_s) + 1)
        return response
    if not form.is_valid():
        return _ask(request, form, 422)
    presented = form.cleaned_data["key"]
    shown = standing.of_secret(presented)
    if shown is None:
        form.add_error("key", _PASSWORD if _is_password(presented) else _UNKNOWN)
        return _ask(request, form, 422)
    response = HttpResponseRedirect(reverse("dashboard:quota"), status=303)
    ticket.give(request, response, shown)
    return response


@private
@require_POST
def done(request: HttpRequest) -> HttpResponse:
    """The browser forgets the key: others use it too."""
    messages.success(request, "This browser has forgotten your key.")
    response = HttpResponseRedirect(reverse("dashboard:quota"), status=303)
    ticket.take_back(response)
    return response


@private
@require_POST
@sensitive_post_parameters("code")
def redeem(request: HttpRequest) -> HttpResponse:
    """A code's credits go to the key."""
    shown = ticket.of_request(request)
    if shown is None or not shown.is_current:
        messages.error(request, _ASK_AGAIN)
        return HttpResponseRedirect(reverse("dashboard:quota"), status=303)
    form = CodeForm(request.POST)
    status = 422
    if form.is_valid():
        try:
            redeemed = _redeem(request, shown.key, form.cleaned_data["code"])
        except GatewayError as exc:
            form.add_error("code", exc.message)
            status = exc.status
        else:
            until = redeemed.expires_at
            good = f", good until {until.astimezone(UTC):%-d %b %Y, %H:%M} UTC" if until else ""
            amount = credits_of(redeemed.amount_micros)
            messages.success(request, f"{amount} credits were added to this key{good}.")
            return HttpResponseRedirect(reverse("dashboard:quota"), status=303)
    context = {**_whole(request, shown), "code_form": form}
    return render(request, "quota/key.html", context, status=status)


def _redeem(request: HttpRequest, key: ApiKey, code: str) -> quota_services.Redeemed:
    """Whoever holds a key is nobody by name. Raises GatewayError."""
    with transaction.atomic():
        redeemed = quota_services.redeem(
            code=code, balance=key.balance, address=address_of(request)
        )
        audit.record(
            actor=f"holder of {key.masked}",
            action="codes.redeem",
            subject=f"key {key.pk}",
            address=request.META.get("REMOTE_ADDR") or "",
            campaign=redeemed.campaign,
            credits=to_text(redeemed.amount_micros),
        )
    return redeemed


@private
@require_safe
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """Read-only, for whoever has the link."""
    key = links.key_of(token)
    if key is None:
        return render(request, "quota/unknown_link.html", status=404)
    context = _facts(request, Shown(key, Secret.CURRENT), is_shared=True)
    return render(request, "quota/key.html", context)


def _whole(request: HttpRequest, shown: Shown) -> dict[str, Any]:
    return _facts(request, shown, is_shared=False)


def _facts(request: HttpRequest, shown: Shown, *, is_shared: bool) -> dict[str, Any]:
    """What the page tells. `is_whole`: everything, to whoever holds the key."""
    key = shown.key
    is_whole = not is_shared and shown.is_current
    stands = standing.standing_of(key)
    own = [limit for limit in stands.credits if is_whole or limit.scope == "k"]
    paces = [limit for limit in stands.paces if is_whole or limit.scope == "k"]
    facts = {
        "key": key,
        # A refused code is answered at another address, from where links must lead back.
        "here": request.path if is_shared else reverse("dashboard:quota"),
        "stands": stands,
        "is_whole": is_whole,
        "is_shared": is_shared,
        "notices": words.notices(stands, None if is_shared else shown.secret),
        "credit_rows": [words.credit_row(limit) for limit in own if not _is_hero(stands, limit)],
        "pace_rows": [words.pace_row(limit) for limit in paces],
        # Where from is nobody's to know but those who call.
        "networks": _networks(stands) if is_whole else [],
        "address": request.META.get("REMOTE_ADDR", ""),
        "hides_limits": len(own) < len(stands.credits) or len(paces) < len(stands.paces),
        "hero": _hero(stands, is_whole=is_whole),
        "ends_soon": words.ends_soon(key.expires_at),
        "usage": usage(key.pk, request.GET.get("span", ""), request.GET.get("show", "")),
        "spans": [(name, span.words) for name, span in SPANS.items()],
        "shown_units": list(SHOWN),
        "requests": activity.last(key),
        "offers": offers(stands, _site_of(request)),
    }
    if is_whole:
        asked = request.GET.get("request", "").strip()
        facts |= {
            "asked": asked[:80],
            "explained": activity.explain(key, asked) if asked else None,
            "code_form": CodeForm(),
        }
    return facts


def _networks(stands: standing.Standing) -> list[tuple[str, tuple[str, ...]]]:
    """(whose limit, the networks that calls have to come from)."""
    return [(words.WHOSE[scope], names) for scope, names in stands.allowed("networks")]


def _is_hero(stands: standing.Standing, limit: standing.CreditLimit) -> bool:
    """The key's own total stands on top of the page already."""
    return limit.scope == "k" and limit.name == "total"


def _hero(stands: standing.Standing, *, is_whole: bool) -> dict[str, Any]:
    """What stands on top: `left` of the key's own total, the parts of its bar in thousandths, and `tightest`, another limit that leaves
    less; `hides_tightest` where that is not the visitor's to know."""
    total, used, reserved = stands.total_micros, stands.used_micros, stands.reserved_micros
    tightest = stands.tightest
    other = tightest if tightest is not None and not _is_hero(stands, tightest) else None
    hides = other is not None and not is_whole and other.scope != "k"
    used_part = 1000 if not total else min(max(used * 1000 // total, 0), 1000)
    return {
        "left": None if total is None else total - used - reserved,
        "used_part": used_part,
        "reserved_part": min(max(reserved * 1000 // total, 0), 1000 - used_part) if total else 0,
        "tightest": words.credit_row(other) if other and not hides else None,
        "hides_tightest": hides,
    }


def _ask(request: HttpRequest, form: KeyForm, status: int = 200) -> HttpResponse:
    return render(request, "quota/ask.html", {"form": form}, status=status)


def _too_many(request: HttpRequest) -> float | None:
    """Seconds to wait for an address that showed too many keys within the minute, right ones included: a look needs one."""
    most = settings.WRONG_KEYS_PER_MINUTE
    if most and count(f"keys:{address_of(request)}") > most:
        return seconds_left()
    return None


def _is_password(presented: str) -> bool:
    expected = settings.API_PASSWORD.encode()
    return bool(expected) and hmac.compare_digest(presented.encode(errors="replace"), expected)


def _site_of(request: HttpRequest) -> str:
    return settings.PUBLIC_URL or request.build_absolute_uri("/")[:-1]
