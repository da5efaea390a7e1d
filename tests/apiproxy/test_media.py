from __future__ import annotations

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from apiproxy import config as configuration
from apiproxy.media import Media
from gateway.lib.errors import MediaRejected

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.hosts.append(self.headers["Host"])
        if self.path == "/png":
            self._answer(200, PNG)
        elif self.path == "/big":
            self._answer(200, PNG + bytes(5000))
        elif self.path == "/text":
            self._answer(200, b"<html>hello</html>")
        elif self.path == "/gone":
            self._answer(404, b"")
        elif self.path == "/to-png":
            self._answer(302, b"", location="/png")
        elif self.path == "/to-private":
            self._answer(302, b"", location="http://127.0.0.1:1/secret")
        elif self.path == "/loop":
            self._answer(302, b"", location="/loop")

    def _answer(self, status, body, location=None):
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hosts = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def url(server):
    return f"http://localhost:{server.server_port}"


def media(*allowed, max_bytes=1000, body_bytes=10_000):
    base = configuration.from_settings()
    return Media(
        msgspec.structs.replace(
            base,
            fetch_private_hosts=frozenset(allowed),
            fetch_max_bytes=max_bytes,
            max_body_bytes=body_bytes,
            fetch_timeout_s=5.0,
        )
    )


@pytest.fixture
def allowed(server):
    return media(f"localhost:{server.server_port}")


async def test_a_picture_is_put_in_the_place_of_its_link(allowed, url):
    part = {"fileData": {"fileUri": f"{url}/png"}}
    await allowed.inline([part])
    assert part == {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}}


async def test_links_bring_no_more_together_than_a_body_may_hold(server, url):
    """Else a small request with many links would fill the memory."""
    small = media(f"localhost:{server.server_port}", max_bytes=100, body_bytes=200)
    parts = [{"fileData": {"fileUri": f"{url}/png"}} for _ in range(50)]
    with pytest.raises(MediaRejected, match="larger than 200 bytes together"):
        await small.inline(parts)
    assert len(server.hosts) < 50
    await small.inline([{"fileData": {"fileUri": f"{url}/png"}} for _ in range(2)])


async def test_the_host_header_names_the_host_though_the_address_is_pinned(allowed, url, server):
    await allowed.fetch(f"{url}/png")
    assert server.hosts == [f"localhost:{server.server_port}"]


async def test_a_redirect_is_followed(allowed, url):
    assert (await allowed.fetch(f"{url}/to-png"))[0] == "image/png"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/to-private", "not public"),
        ("/loop", "redirects more than"),
        ("/gone", "status 404"),
        ("/text", "no image, document or sound"),
        ("/big", "larger than the 1,000 bytes"),
    ],
)
async def test_what_is_refused_is_refused_in_words(allowed, url, path, words):
    with pytest.raises(MediaRejected, match=words):
        await allowed.fetch(url + path)


async def test_a_private_host_is_refused_without_being_asked(url, server):
    with pytest.raises(MediaRejected, match="not public"):
        await media().inline([{"fileData": {"fileUri": f"{url}/png"}}])
    assert server.hosts == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/x",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@example.com/x",
        "http://[::1",
        "http://example.com:99999/",
        "https://no-such-host.invalid/x",
        "http://0177.0.0.1/",
        "http://2130706433/",
    ],
)
async def test_urls_that_are_none(url):
    with pytest.raises(MediaRejected) as raised:
        await media().fetch(url)
    assert "secret" not in raised.value.message
