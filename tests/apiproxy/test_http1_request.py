"""The bytes of a request's head."""

from __future__ import annotations

import pytest

from apiproxy.http1_request import Origin, Proxy, Target

PROXY = Proxy("http://bob:p%40ss@proxy.example:3128", "this site")
CREDENTIALS = "proxy-authorization: Basic Ym9iOnBAc3M=\r\n"


def head(url, *, method="POST", headers=None, body=b"", proxy=None):
    return Target(method, url, proxy).head(headers or {}, body).decode()


def test_a_request():
    url = "https://up.example/v1/models/m:go?alt=sse&q=%20"
    assert head(url, headers={"x-key": "abc", "accept": "a, b"}, body=b"12345") == (
        "POST /v1/models/m:go?alt=sse&q=%20 HTTP/1.1\r\n"
        "host: up.example\r\n"
        "x-key: abc\r\n"
        "accept: a, b\r\n"
        "content-length: 5\r\n"
        "\r\n"
    )


def test_an_empty_post_says_so_and_an_empty_get_says_nothing():
    assert "content-length: 0\r\n" in head("http://up.example/")
    assert "content-length" not in head("http://up.example/", method="GET")
    assert "content-length: 1\r\n" in head("http://up.example/", method="GET", body=b"x")


@pytest.mark.parametrize(
    ("url", "origin", "line", "host"),
    [
        ("http://Up.Example", ("http", "up.example", 80), "/", "Up.Example"),
        ("https://up.example/a", ("https", "up.example", 443), "/a", "up.example"),
        ("http://up.example:81?x", ("http", "up.example", 81), "/?x", "up.example:81"),
        ("http://[::1]:82/a#b", ("http", "::1", 82), "/a", "[::1]:82"),
        ("http://up.example//a//", ("http", "up.example", 80), "//a//", "up.example"),
    ],
)
def test_where_it_goes(url, origin, line, host):
    assert Target("GET", url, None).origin == Origin(*origin)
    assert head(url, method="GET").startswith(f"GET {line} HTTP/1.1\r\nhost: {host}\r\n")


@pytest.mark.parametrize(
    "url",
    [
        "http://up.example/a b",
        "http://up.example/a\r\nx: y",
        "http://up.example/\n",
        "http://up.example/ä",
        "http://bob:secret@up.example/",
        "http://up.example:port/",
        "ftp://up.example/",
        "http:///a",
        "/a",
        "",
    ],
)
def test_urls_that_no_request_may_hold(url):
    with pytest.raises(ValueError, match="URL|[Pp]ort") as raised:
        Target("GET", url, None)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "GET /x HTTP/1.1\r\nx:", ""])
def test_methods_that_are_not_spoken(method):
    with pytest.raises(ValueError, match="method"):
        Target(method, "http://up.example/", None)


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\rb", "\n", "schlüssel", "\u2028"])
@pytest.mark.parametrize("place", ["name", "value"])
def test_a_header_is_one_header(value, place):
    header = {value: "v"} if place == "name" else {"x-key": value}
    with pytest.raises(ValueError, match="header") as raised:
        head("http://up.example/", headers=header | {"a": "b"})
    assert value not in str(raised.value)


def test_a_proxy_gets_the_whole_url_and_its_credentials():
    text = head("http://up.example:81/a?b", method="GET", proxy=PROXY)
    assert text.startswith("GET http://up.example:81/a?b HTTP/1.1\r\nhost: up.example:81\r\n")
    assert CREDENTIALS in text


def test_what_goes_through_a_tunnel_does_not_name_the_proxy():
    text = head("https://up.example/a", method="GET", proxy=PROXY)
    assert text.startswith("GET /a HTTP/1.1\r\n")
    assert "proxy" not in text


def test_a_tunnel_is_asked_for():
    asked = PROXY.connect_head(Origin("https", "up.example", 443)).decode()
    assert asked == (
        f"CONNECT up.example:443 HTTP/1.1\r\nhost: up.example:443\r\n{CREDENTIALS}\r\n"
    )
    assert PROXY.connect_head(Origin("https", "::1", 443)).startswith(b"CONNECT [::1]:443 ")


def test_a_proxy_without_credentials_gets_none():
    proxy = Proxy("http://proxy.example", "this site")
    assert (proxy.address.host, proxy.address.port) == ("proxy.example", 80)
    assert proxy.authorization == ""
