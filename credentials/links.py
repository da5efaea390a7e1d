"""The contributor's secret link: whoever has it is the contributor. It is derived from the row, so nothing is stored, and it
is exchanged for a cookie at once, so that it does not stay in an address bar."""

from __future__ import annotations

import re

from django.core.signing import BadSignature, Signer
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from credentials.models import Contributor

COOKIE = "wellspring_contributor"
_COOKIE_PATH = "/auth"
_COOKIE_AGE_S = 180 * 24 * 3600
_SEPARATOR = "."
_LONGEST = 200
_LONGEST_PASTE = 5_000
_TOKEN = re.compile(r"[\w-]{40,}\.[\w-]{8,}\.\d+", re.ASCII)

_signer = Signer(salt="credentials.links", sep=_SEPARATOR)


def token_of(contributor: Contributor) -> str:
    """Signature, public id, version. The version stands last, as e-mail programs leave out a closing sign of a link."""
    value = f"{contributor.public_id}{_SEPARATOR}{contributor.link_version}"
    signature = _signer.sign(value).rpartition(_SEPARATOR)[2]
    return f"{signature}{_SEPARATOR}{value}"


def contributor_of(token: str) -> Contributor | None:
    """None for a token that was not made here, and for one whose link was replaced by a newer one."""
    signature, _, value = token.partition(_SEPARATOR)
    if len(token) > _LONGEST:
        return None
    try:
        public_id, _, version = _signer.unsign(f"{value}{_SEPARATOR}{signature}").partition(
            _SEPARATOR
        )
    except BadSignature:
        return None
    return Contributor.objects.filter(public_id=public_id, link_version=int(version)).first()


def contributor_in(text: str) -> Contributor | None:
    """Of the last link in what somebody pasted, with whatever stood around it."""
    tokens = _TOKEN.findall(text[:_LONGEST_PASTE])
    return contributor_of(tokens[-1]) if tokens else None


def contributor_of_request(request: HttpRequest) -> Contributor | None:
    """Whose browser it is: by the cookie of the link, else the signed-in member's own. Where several share a browser, the cookie
    that one member left is not another's."""
    found = contributor_of(request.COOKIES.get(COOKIE, ""))
    if found is not None and found.user_id is None:
        return found
    if not request.user.is_authenticated:
        return found
    if found is not None and found.user_id == request.user.pk:
        return found
    return Contributor.objects.filter(user_id=request.user.pk).first()


def link_of(contributor: Contributor, site: str) -> str:
    """The whole address. `site` without a closing slash."""
    return site + reverse("credentials:link", args=[token_of(contributor)])


def remember(request: HttpRequest, response: HttpResponse, contributor: Contributor) -> None:
    """From now on this browser is the contributor's."""
    response.set_cookie(
        COOKIE,
        token_of(contributor),
        max_age=_COOKIE_AGE_S,
        path=_COOKIE_PATH,
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )


def forget(response: HttpResponse) -> None:
    response.delete_cookie(COOKIE, path=_COOKIE_PATH, samesite="Lax")
