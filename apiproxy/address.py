"""Where a call comes from: the peer, or whom a proxy that this site trusts says it speaks for."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from apiproxy.request import Request

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_EVERYBODY = "*"
_MAPPED_BITS = 96


def is_trusted(peer: str, trusted_proxies: str) -> bool:
    """`trusted_proxies`: addresses and networks by comma, or "*"."""
    everybody, networks, others = _trust(trusted_proxies)
    # A socket's path, or nobody: uvicorn takes such entries as well.
    return everybody or peer in others or _lies_within(peer, networks)


def address_of(request: Request, trusted_proxies: str) -> str:
    """The peer's, unless that is a trusted proxy. Each proxy adds at the end of X-Forwarded-For whom it heard: the last there that is
    no trusted proxy is the client, and whatever stands before it is only its word. Where everybody is trusted, the last."""
    address = request.peer
    if not is_trusted(address, trusted_proxies):
        return address
    everybody = _trust(trusted_proxies)[0]
    forwarded = request.headers.get(b"x-forwarded-for", b"").decode("latin-1")
    for hop in reversed(forwarded.split(",")):
        if not (hop := _without_port(hop.strip())):
            continue
        address = hop
        if everybody or not is_trusted(hop, trusted_proxies):
            break
    return address


def is_within(address: str, networks: Sequence[str]) -> bool:
    """An address that is none lies nowhere, and nothing lies in a network that is none."""
    return _lies_within(address, _networks(tuple(networks)))


def neighbourhood(address: str) -> str:
    """What one client can easily speak from: an IPv4 address, or the half of an IPv6 address that it is given."""
    found = _parsed(address)
    if found is None or found.version == 4:
        return str(found or address)
    return str(ipaddress.ip_network((found, 64), strict=False))


def _lies_within(address: str, networks: Sequence[Network]) -> bool:
    found = _parsed(address)
    return found is not None and any(
        found.version == network.version and found in network for network in networks
    )


def _without_port(hop: str) -> str:
    """Some proxies name the port too: 192.0.2.1:4711, [2001:db8::1]:4711."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


@lru_cache(maxsize=4096)
def _parsed(address: str) -> Address | None:
    """IPv4 in the clothes of IPv6 is IPv4. A zone (fe80::1%eth0) says nothing to others."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


@lru_cache(maxsize=1024)
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(network for text in texts if (network := _network(text)) is not None)


def _network(text: str) -> Network | None:
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= _MAPPED_BITS:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, found.prefixlen - _MAPPED_BITS), strict=False)
    return found


@lru_cache(maxsize=16)
def _trust(trusted_proxies: str) -> tuple[bool, tuple[Network, ...], frozenset[str]]:
    """Whether everybody is trusted, which networks, and what is no address."""
    entries = [entry for entry in map(str.strip, trusted_proxies.split(",")) if entry]
    others = frozenset(entry for entry in entries if _network(entry) is None)
    return _EVERYBODY in entries, _networks(tuple(entries)), others - {_EVERYBODY}
