"""Under which address a client reaches this site: links in answers begin with it."""

from __future__ import annotations

import re
from collections.abc import Collection

from django.http.request import split_domain_port, validate_host

from apiproxy.address import is_trusted
from apiproxy.request import Request
from gateway.lib.errors import InvalidRequest

_HOST = re.compile(r"[\w.-]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?", re.ASCII)


def origin_of(
    request: Request, *, public_url: str, trusted_proxies: str, allowed_hosts: Collection[str]
) -> str:
    """Scheme and host, without a slash at the end. `trusted_proxies`: addresses and networks by comma, or "*"."""
    if public_url:
        return public_url
    host = request.headers.get(b"host", b"").decode("latin-1")
    if not _HOST.fullmatch(host):
        raise InvalidRequest("links cannot be made without a proper Host header: send one")
    if not validate_host(split_domain_port(host)[0], allowed_hosts):
        # The pages do not answer to it, so that a link to it would lead nowhere, or to somebody else.
        raise InvalidRequest(f"this site does not go by the name {host}: call it by its own")
    return f"{_scheme_of(request, trusted_proxies)}://{host}"


def _scheme_of(request: Request, trusted_proxies: str) -> str:
    forwarded = request.headers.get(b"x-forwarded-proto", b"").decode("latin-1")
    if forwarded in ("http", "https") and is_trusted(request.peer, trusted_proxies):
        return forwarded
    return request.scheme
