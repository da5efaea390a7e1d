from __future__ import annotations

import pytest

from apiproxy import asgi
from apiproxy.address import address_of, is_within, neighbourhood
from apiproxy.request import Request


def address(peer, forwarded="", trusted="127.0.0.1, 10.0.0.0/8"):
    headers = {b"x-forwarded-for": forwarded.encode()} if forwarded else {}
    request = Request("req_1", "POST", "/", headers, {}, 0.0, 0.0, None, peer=peer)
    return address_of(request, trusted)


def test_what_a_stranger_says_of_itself_is_not_believed():
    assert address("203.0.113.7", "198.51.100.1") == "203.0.113.7"


def test_a_trusted_proxy_says_whom_it_heard():
    assert address("127.0.0.1", "198.51.100.1") == "198.51.100.1"
    assert address("127.0.0.1") == "127.0.0.1"


def test_what_the_client_itself_put_in_front_counts_for_nothing():
    assert address("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2") == "198.51.100.1"


def test_of_proxies_alone_the_first_is_the_client():
    assert address("10.0.0.1", "10.0.0.3, 10.0.0.2") == "10.0.0.3"


def test_who_trusts_everybody_trusts_the_nearest_proxy():
    assert address("203.0.113.7", "1.1.1.1, 198.51.100.1", trusted="*") == "198.51.100.1"


@pytest.mark.parametrize(
    ("hop", "found"),
    [
        ("198.51.100.1:4711", "198.51.100.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        (" , 198.51.100.1 ,", "198.51.100.1"),
    ],
)
def test_a_port_is_no_part_of_an_address(hop, found):
    assert address("127.0.0.1", hop) == found


def test_each_proxy_may_add_a_line_of_its_own():
    """As HAProxy does: only together the lines tell of all of them."""
    scope = {
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [
            (b"x-forwarded-for", b"1.1.1.1"),
            (b"x-forwarded-for", b"198.51.100.1"),
            (b"accept", b"*/*"),
            (b"x-forwarded-for", b"10.0.0.2"),
        ],
        "client": ("10.0.0.1", 4711),
    }
    request = asgi._request(scope, None, None, None)
    assert address_of(request, "10.0.0.0/8") == "198.51.100.1"
    assert address_of(request, "127.0.0.1") == "10.0.0.1"


def test_ipv4_in_the_clothes_of_ipv6_is_the_same():
    assert address("::ffff:10.0.0.1", "198.51.100.1") == "198.51.100.1"
    assert is_within("::ffff:10.1.2.3", ["10.0.0.0/8"])
    assert is_within("10.1.2.3", ["::ffff:10.0.0.0/104"])
    assert neighbourhood("::ffff:192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize(
    ("address", "networks", "inside"),
    [
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("10.1.2.3", ["10.1.2.3"], True),
        ("10.1.2.3", ["192.0.2.0/24", "2001:db8::/32"], False),
        ("2001:db8::5", ["192.0.2.0/24", "2001:db8::/32"], True),
        ("", ["0.0.0.0/0"], False),
        ("nonsense", ["0.0.0.0/0", "::/0"], False),
        ("10.1.2.3", ["nonsense"], False),
        ("fe80::1%eth0", ["fe80::/10"], True),
    ],
)
def test_networks(address, networks, inside):
    assert is_within(address, networks) is inside


def test_the_half_of_an_ipv6_address_that_its_owner_chooses_makes_nobody_another():
    assert neighbourhood("2001:db8:0:1::5") == neighbourhood("2001:db8:0:1:ffff::9")
    assert neighbourhood("2001:db8:0:2::5") != neighbourhood("2001:db8:0:1::5")
    assert neighbourhood("") == ""
