"""Under which address a client reaches this site: links in answers begin with it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from django.http.request import split_domain_port, validate_host

from apiproxy.request import Request
from gateway.lib.errors import InvalidRequest

_HOST = re.compile(r"[\w.-]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?", re.ASCII)
_EVERYBODY = "*"


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
    if forwarded in ("http", "https") and _is_trusted(request.peer, trusted_proxies):
        return forwarded
    return request.scheme


def _is_trusted(peer: str, trusted_proxies: str) -> bool:
    for entry in map(str.strip, trusted_proxies.split(",")):
        if entry == _EVERYBODY:
            return True
        try:
            if ipaddress.ip_address(peer) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            # A socket's path, or nobody: uvicorn takes such entries as well.
            if entry and entry == peer:
                return True
    return False
