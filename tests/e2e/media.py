"""Pictures, and a web server that has them."""

from __future__ import annotations

import base64
import http.server

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
PNG_BASE64 = base64.b64encode(PNG).decode()
DATA_URL = f"data:image/png;base64,{PNG_BASE64}"


class PictureHandler(http.server.BaseHTTPRequestHandler):
    """/picture is one; /text calls itself one; /elsewhere?<url> leads there."""

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", query)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = PNG if path == "/picture" else b"no picture at all"
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass
