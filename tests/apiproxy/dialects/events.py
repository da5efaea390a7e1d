"""Reads the dialects' streams as a strict client would."""

import json

from apiproxy.wire.types import Framing

# An event has a name, which its data repeat as `type`.
_NAMED = ("openai-responses", "anthropic-messages")


def events_of(dialect, call, data):
    """The JSON values of a finished stream; raises where the framing is not exactly the dialect's."""
    if call.framing is Framing.ARRAY:
        return json.loads(data)
    text = data.decode("utf-8")
    assert not {"\u0085", "\u2028", "\u2029", "\r"} & set(text)
    *events, rest = text.split("\n\n")
    assert rest == ""
    if dialect in _NAMED:
        return [_named(event) for event in events]
    if dialect == "openai-chat":
        assert events.pop() == "data: [DONE]"
    assert all(event.startswith("data: {") and "\n" not in event for event in events)
    return [json.loads(event.removeprefix("data: ")) for event in events]


def _named(event):
    name, data = event.split("\n")
    value = json.loads(data.removeprefix("data: "))
    assert name == f"event: {value['type']}"
    return value


def without_envelope(event):
    """A Chat Completions chunk less the four fields that are the same in all chunks."""
    common = ("id", "object", "created", "model")
    return {key: value for key, value in event.items() if key not in common}


def without_response(event, answer):
    """A Responses event less the response object, which must be the whole answer or what it was to begin with."""
    response = event.pop("response", None)
    if event["type"] in ("response.created", "response.in_progress"):
        unknown = {"status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
        assert response == answer | unknown
    elif response is not None:
        assert event["type"] == f"response.{answer['status']}"
        assert response == answer
    return event
