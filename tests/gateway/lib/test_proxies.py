from __future__ import annotations

import pytest

from gateway.lib.proxies import check_proxy_url, masked, parse_proxy


@pytest.mark.parametrize(
    ("text", "kept", "shown"),
    [
        ("", "", ""),
        ("  ", "", ""),
        ("http://proxy.example", "http://proxy.example:80", "http://proxy.example:80"),
        ("https://Proxy.Example", "https://proxy.example:443", "https://proxy.example:443"),
        (" socks5://h:9 ", "socks5://h:9", "socks5://h:9"),
        (
            "socks5h://bob:s3%3Acr%40t@[::1]/",
            "socks5h://bob:s3%3Acr%40t@[::1]:1080",
            "socks5h://[::1]:1080",
        ),
        ("socks4://bob@h", "socks4://bob@h:1080", "socks4://h:1080"),
        ("socks4a://h", "socks4a://h:1080", "socks4a://h:1080"),
        ("http://bob:@h:1", "http://bob@h:1", "http://h:1"),
        (f"socks5://b:{'x' * 255}@h:1", f"socks5://b:{'x' * 255}@h:1", "socks5://h:1"),
    ],
)
def test_what_is_kept_and_what_is_shown(text, kept, shown):
    assert check_proxy_url(text) == kept
    assert masked(kept) == shown
    assert check_proxy_url(kept) == kept


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("proxy.example:8080", "Give the proxy as"),
        ("ftp://s3cret@h", "Give the proxy as"),
        ("socks5://", "names no host"),
        ("http://s3cret@h:0", "names no host"),
        ("http://s3cret@h:99999", "no proper host or port"),
        ("http://s3cret@[::1", "no proper host or port"),
        ("http://s3cret@h/path", "ends with its port"),
        ("http://s3cret@h?a=b", "ends with its port"),
        ("http://:s3cret@h", "no user name"),
        ("socks5://s3cret@h", "together with a password"),
        ("socks4://bob:s3cret@h", "no password"),
        ("socks5://bob:s3cret%C3%A9@h", "plain ASCII"),
        (f"socks5://bob:s3cret{'x' * 250}@h", "up to 255"),
        ("http://s3cret é@h", "Percent-encode"),
        ("http://s3cret" + "x" * 500, "longer than"),
    ],
)
def test_what_is_no_proxy_is_refused_in_words_that_do_not_repeat_it(text, words):
    with pytest.raises(ValueError, match=words) as raised:
        check_proxy_url(text)
    assert "s3cret" not in f"{raised.value} {raised.value.__cause__}"


def test_a_proxy_keeps_its_password_to_itself():
    assert "s3cret" not in repr(parse_proxy("socks5://bob:s3cret@h"))
