from __future__ import annotations

import pytest

from apiproxy.origin import origin_of
from apiproxy.request import Request
from gateway.lib.errors import InvalidRequest


def origin(
    headers=None, *, peer="", scheme="http", public_url="", trusted="127.0.0.1", allowed=("*",)
):
    request = Request(
        id="req_1",
        method="POST",
        path="/",
        headers=headers if headers is not None else {b"host": b"gateway.example"},
        query={},
        received_at=0.0,
        started=0.0,
        read_body=None,
        scheme=scheme,
        peer=peer,
    )
    return origin_of(request, public_url=public_url, trusted_proxies=trusted, allowed_hosts=allowed)


@pytest.mark.parametrize("host", ["gateway.example", "127.0.0.1:7861", "[::1]:80", "a_b-c"])
def test_the_host_is_the_one_the_client_named(host):
    assert origin({b"host": host.encode()}) == f"http://{host}"
    assert origin({b"host": host.encode()}, scheme="https") == f"https://{host}"


def test_a_name_that_is_not_this_sites_is_refused():
    allowed = ("gateway.example", ".lan", "[::1]")
    for host in (b"gateway.example", b"Gateway.Example:81", b"one.lan:7861", b"[::1]:7861"):
        assert origin({b"host": host}, allowed=allowed) == f"http://{host.decode()}"
    with pytest.raises(InvalidRequest, match=r"evil\.example:80"):
        origin({b"host": b"evil.example:80"}, allowed=allowed)
    assert origin({b"host": b"x"}, public_url="https://a.example", allowed=allowed)


def test_a_public_address_needs_no_host():
    assert origin({}, public_url="https://gateway.example/g") == "https://gateway.example/g"


@pytest.mark.parametrize("host", [b"", b'a"><script>', b"a/b", b"a b", b"user@host", b"\xff"])
def test_what_is_no_host_is_refused(host):
    with pytest.raises(InvalidRequest, match="Host header"):
        origin({b"host": host})


@pytest.mark.parametrize(
    ("peer", "trusted", "scheme"),
    [
        ("127.0.0.1", "127.0.0.1", "https"),
        ("10.1.2.3", "127.0.0.1, 10.0.0.0/8", "https"),
        ("::1", "127.0.0.1,::1", "https"),
        ("192.0.2.1", "*", "https"),
        ("", "*", "https"),
        ("192.0.2.1", "127.0.0.1", "http"),
        ("192.0.2.1", "", "http"),
        ("", "127.0.0.1", "http"),
        ("::1", "10.0.0.0/8", "http"),
    ],
)
def test_only_a_trusted_proxy_says_that_the_client_spoke_tls(peer, trusted, scheme):
    headers = {b"host": b"a", b"x-forwarded-proto": b"https"}
    assert origin(headers, peer=peer, trusted=trusted) == f"{scheme}://a"


def test_another_scheme_is_not_believed():
    headers = {b"host": b"a", b"x-forwarded-proto": b"javascript"}
    assert origin(headers, peer="127.0.0.1") == "http://a"
