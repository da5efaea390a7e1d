"""What all dialects' event streams have in common."""

from __future__ import annotations

EVENT_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # Keeps a reverse proxy from collecting the stream.
    (b"x-accel-buffering", b"no"),
]
