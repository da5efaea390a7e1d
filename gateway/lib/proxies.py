"""Addresses of proxies: read, checked and shown without their password.

Names are resolved by the proxy, as whoever needs one often cannot trust the answers of their own network; only socks4
has no way to say a name, so there they are resolved here (socks4a has one).
"""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct

_PORTS = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}
_LONGEST = 500
# A byte holds the length of each in SOCKS 5.
_LONGEST_LOGIN = 255


class ProxyAddress(Struct, frozen=True):
    """`user` and `password` are decoded, "" where there are none. Two with the same fields are the same proxy."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = ""

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")

    @property
    def resolves_names(self) -> bool:
        return self.scheme != "socks4"

    @property
    def masked(self) -> str:
        """For pages: without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def url(self) -> str:
        login = quote(self.user, safe="")
        if self.password:
            login += ":" + quote(self.password, safe="")
        scheme, _, there = self.masked.partition("://")
        return f"{scheme}://{login}@{there}" if login else self.masked

    def __repr__(self) -> str:
        return "ProxyAddress(…)"


def parse_proxy(url: str) -> ProxyAddress:
    """Raises ValueError in words for people, which do not repeat what they gave."""
    url = url.strip()
    if len(url) > _LONGEST:
        raise ValueError(f"The address of the proxy is longer than {_LONGEST} characters.")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("Percent-encode what is not a plain letter in the address of the proxy.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("The address of the proxy has no proper host or port.") from None
    if parts.scheme not in _PORTS:
        raise ValueError(
            "Give the proxy as http://host:port, https://…, socks5://… or socks4://…, "
            "with user:password@ before the host where it needs them."
        )
    if not parts.hostname or port == 0:
        raise ValueError("The address of the proxy names no host or no proper port.")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("The address of a proxy ends with its port.")
    address = ProxyAddress(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
    _check_login(address)
    return address


def check_proxy_url(text: str) -> str:
    """The address as it is kept, "" for none. Raises ValueError in words."""
    return parse_proxy(text).url if text.strip() else ""


def masked(url: str) -> str:
    """Scheme, host and port; "" for none."""
    return parse_proxy(url).masked if url else ""


def _check_login(address: ProxyAddress) -> None:
    if address.password and not address.user:
        raise ValueError("The proxy has a password but no user name.")
    if not address.is_socks:
        return
    login = (address.user, address.password)
    if not all(part.isascii() and len(part) <= _LONGEST_LOGIN for part in login):
        raise ValueError(
            "User name and password of a SOCKS proxy are plain ASCII, up to 255 characters."
        )
    if address.scheme.startswith("socks5") and address.user and not address.password:
        raise ValueError("A SOCKS 5 proxy takes a user name together with a password.")
    if address.scheme.startswith("socks4") and address.password:
        raise ValueError("A SOCKS 4 proxy takes a user name but no password.")
