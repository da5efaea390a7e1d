"""How often somebody may ask the management API. Counted in the cache: with Redis for all processes together, without it by each
process for itself.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from gateway.lib.errors import RateLimited

logger = logging.getLogger(__name__)

_WINDOW_S = 60


def address_of(request: Any) -> str:
    """By which tries are counted. Of IPv6 the network, as a single household has billions of addresses.

    The server has put the client's address there, behind proxies that are trusted too; a header of the client's counts nothing.
    """
    address = request.META.get("REMOTE_ADDR") or ""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return str(address)[:45]
    if isinstance(known, ipaddress.IPv4Address):
        return str(address)
    # What a socket for both families tells of a visitor who came by IPv4.
    if known.ipv4_mapped:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, 64), strict=False))


class PerMinute(BaseThrottle):
    """One allowance for each token, person, or address; 0 is none."""

    def __init__(self) -> None:
        self._wait_s = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        known = request.user.is_authenticated
        limit = settings.API_THROTTLE_USER if known else settings.API_THROTTLE_ANON
        if not limit:
            return True
        self._wait_s = seconds_left()
        return count(f"api:{_who(request)}") <= int(limit)

    def wait(self) -> float:
        return self._wait_s


def _who(request: Request) -> str:
    token, user = getattr(request.auth, "pk", None), getattr(request.user, "pk", None)
    if token is not None:
        return f"token:{token}"
    # The panel password is nobody's: whoever gives it is told apart by the address.
    return f"user:{user}" if user is not None else f"address:{address_of(request)}"


def check_guesses(request: HttpRequest | Request) -> None:
    """Raises RateLimited for an address that has given too many wrong passwords and tokens a minute."""
    most = settings.API_WRONG_TOKENS
    if most and _counted(_guesses(request)) >= most:
        raise RateLimited(
            "Too many wrong passwords or tokens from this address: wait a minute.",
            retry_after_s=seconds_left(),
        )


def count_guess(request: HttpRequest | Request) -> None:
    if settings.API_WRONG_TOKENS:
        count(_guesses(request))


def _guesses(request: HttpRequest | Request) -> str:
    return f"guesses:{address_of(request)}"


def seconds_left() -> float:
    """Until counting begins anew."""
    return _WINDOW_S - time.time() % _WINDOW_S


def count(name: str) -> int:
    """The number of this one within the minute. A cache that is away counts nothing: the API stays of use."""
    key = _key(name)
    try:
        cache.add(key, 0, timeout=2 * _WINDOW_S)
        return cache.incr(key)
    except ValueError:  # gone between the two
        return 1
    except RedisError as exc:
        logger.warning("requests are not counted: %s", exc)
        return 0


def _counted(name: str) -> int:
    try:
        return int(cache.get(_key(name), 0))
    except RedisError as exc:
        logger.warning("requests are not counted: %s", exc)
        return 0


def _key(name: str) -> str:
    return f"throttle:{name}:{int(time.time() // _WINDOW_S)}"
