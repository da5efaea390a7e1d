"""Requests through a SOCKS proxy, against a server that answers in unusual ways."""

from __future__ import annotations

import gzip
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from gateway.lib import proxied
from tests.fakes.proxies import FakeProxy


class Odd(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/mute":
            self.server.told.wait(10)
            return
        answer = gzip.compress(
            b"%s %s %s" % (self.path.encode(), self.headers["Host"].encode(), body)
        )
        self.send_response(201)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(answer) + (self.path == "/cut")))
        self.end_headers()
        self.wfile.write(answer)
        self.close_connection = self.path == "/cut"

    def log_message(self, *args):
        pass


@contextmanager
def serving():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    server.told = threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.told.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def client():
    names = {"odd.example": "127.0.0.1"}
    with serving() as port, FakeProxy.running("socks5", names=names) as proxy:
        tls = httpx.create_ssl_context(trust_env=False)
        base = f"http://odd.example:{port}"
        with proxied.client(proxy.url, tls=tls, base_url=base, timeout=0.5) as found:
            yield found


def test_a_request_arrives_whole_and_a_compressed_answer_is_read(client):
    answer = client.post("/a?b=%2F", data={"c": "d"})
    assert (answer.status_code, answer.text) == (
        201,
        f"/a?b=%2F odd.example:{client.base_url.port} c=d",
    )


@pytest.mark.parametrize(
    ("path", "error"), [("/mute", httpx.ReadTimeout), ("/cut", httpx.ReadError)]
)
def test_what_never_comes_or_breaks_off_is_said_as_httpx_does(client, path, error):
    with pytest.raises(error):
        client.post(path, content=b"x")
