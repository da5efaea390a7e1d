"""Upstream bytes -> canonical replies, for every upstream that speaks Gemini (see `base.Decoder`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiproxy.providers.base import Decoder
from apiproxy.wire import codec
from apiproxy.wire.google_errors import http_status
from apiproxy.wire.sse import EventParser
from apiproxy.wire.types import Call

Json = dict[str, Any]

Unwrap = Callable[[Json], Json]
"""Takes an upstream's envelope off; leaves an error object as it is."""


def decoder_for(call: Call, unwrap: Unwrap | None = None) -> Decoder:
    return StreamDecoder(unwrap) if call.stream else BodyDecoder(unwrap)


class StreamDecoder:
    """Replies as they come, one or more an event."""

    __slots__ = ("_parser", "_unwrap")

    def __init__(self, unwrap: Unwrap | None = None) -> None:
        self._parser = EventParser()
        self._unwrap = unwrap

    def feed(self, data: bytes) -> list[Json]:
        return self._replies(self._parser.feed(data))

    def close(self) -> list[Json]:
        return self._replies(self._parser.close())

    def _replies(self, events: list[bytes]) -> list[Json]:
        unwrap = self._unwrap
        replies: list[Json] = []
        for event in events:
            try:
                value = codec.loads(event)
            except ValueError:
                value = _read_leniently(event)
            # An array: the upstream ignored `alt=sse`, or wraps its error in one.
            for item in value if type(value) is list else (value,):
                if type(item) is not dict:
                    replies.append(_unreadable())
                    continue
                reply = item if unwrap is None else unwrap(item)
                replies.append(_error_reply(reply) if "error" in reply else reply)
        return replies


class BodyDecoder:
    """The one reply of a whole body, from `close`."""

    __slots__ = ("_pieces", "_unwrap")

    def __init__(self, unwrap: Unwrap | None = None) -> None:
        self._pieces: list[bytes] = []
        self._unwrap = unwrap

    def feed(self, data: bytes) -> list[Json]:
        self._pieces.append(data)
        return []

    def close(self) -> list[Json]:
        value = _read_leniently(b"".join(self._pieces))
        if type(value) is list and len(value) == 1:
            value = value[0]
        if type(value) is not dict:
            return [_unreadable()]
        reply = value if self._unwrap is None else self._unwrap(value)
        return [_error_reply(reply) if "error" in reply else reply]


def _read_leniently(data: bytes) -> Any:
    """None for what is no JSON even with its broken characters replaced."""
    try:
        return codec.loads_lenient(data)
    except (ValueError, RecursionError):
        return None


def _unreadable() -> Json:
    message = "The upstream's answer is not the JSON it promised."
    return {"error": {"code": 502, "status": "UNAVAILABLE", "message": message}}


def _error_reply(reply: Json) -> Json:
    """Only the error, with a `code` that is an HTTP status."""
    error = reply["error"]
    if not error:
        return {key: value for key, value in reply.items() if key != "error"}
    if not isinstance(error, dict):
        return {"error": {"code": 502, "message": str(error)}}
    return {"error": {**error, "code": http_status(error, 502)}}
