"""Asking addresses that strangers name."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gateway.lib.outward import Destination, Refused, Undelivered, destination, is_public, post_json


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fec0::1",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "ff02::1",
    ],
)
def test_addresses_of_this_network_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_the_rest_of_the_world_is(address):
    assert is_public(address)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.seen.append((self.path, dict(self.headers), self.rfile.read(length)))
        if self.path == "/hang":
            self.server.released.wait(30)
            return
        status = {"/ok": 204, "/moved": 302, "/broken": 500, "/gone": 410}[self.path]
        self.send_response(status)
        if self.path == "/moved":
            self.send_header("Location", "/ok")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.released = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def url(server):
    return f"http://localhost:{server.server_port}"


@pytest.fixture
def allowed(server):
    return {f"localhost:{server.server_port}"}


def test_an_object_is_delivered_and_signed(server, url, allowed):
    def signature(body):
        return {"X-Signature": hashlib.sha256(body).hexdigest()}

    post_json(f"{url}/ok", {"words": "läuft"}, private_hosts=allowed, headers_of=signature)
    [(path, headers, body)] = server.seen
    assert (path, json.loads(body)) == ("/ok", {"words": "läuft"})
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == f"localhost:{server.server_port}"
    assert headers["X-Signature"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("path", ["/moved", "/broken", "/gone"])
def test_anything_but_success_is_said_and_no_redirect_is_followed(server, url, allowed, path):
    with pytest.raises(Undelivered, match="answered with status"):
        post_json(url + path, {}, private_hosts=allowed)
    assert [seen[0] for seen in server.seen] == [path]


def test_a_private_address_is_not_asked(server, url):
    with pytest.raises(Refused, match="not public"):
        post_json(f"{url}/ok", {})
    assert server.seen == []


def test_a_silent_server_holds_nobody_for_long(url, allowed):
    with pytest.raises(Undelivered, match="did not answer within"):
        post_json(f"{url}/hang", {}, private_hosts=allowed, timeout_s=0.2)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/x",
        "file:///etc/passwd",
        "http://",
        "https://user:secret@example.com/x",
        "http://[::1",
        "http://example.com:99999/",
        "http://169.254.169.254/latest",
        "https://example.com/" + "x" * 5000,
    ],
)
def test_what_is_refused_is_refused_without_repeating_it(url):
    with pytest.raises(Refused) as raised:
        post_json(url, {})
    assert "secret" not in str(raised.value)
    assert "example" not in str(raised.value)


def test_a_name_that_does_not_resolve_may_later():
    with pytest.raises(Undelivered, match="does not resolve"):
        post_json("https://no-such-host.invalid/x", {})


def test_a_name_in_another_script_is_asked_for_in_its_ascii_form():
    assert destination("https://例子.中国/hook").host_header == "xn--fsqu00a.xn--fiqs8s"
    with pytest.raises(Refused, match="is not a URL"):
        destination(f"https://{'ü' * 70}.example/")


@pytest.mark.parametrize(
    ("url", "there", "host_header"),
    [
        ("https://a.example/x", Destination("a.example", 443, True), "a.example"),
        ("http://a.example", Destination("a.example", 80, False), "a.example"),
        ("https://a.example:80", Destination("a.example", 80, True), "a.example:80"),
        ("http://[::1]:9/", Destination("::1", 9, False), "[::1]:9"),
    ],
)
def test_where_an_address_leads(url, there, host_header):
    assert (destination(url), destination(url).host_header) == (there, host_header)
