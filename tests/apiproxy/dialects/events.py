"""Reads the dialects' streams as a strict client would."""

import json

from apiproxy.wire.types import Framing


def events_of(dialect, call, data):
    """The JSON values of a finished stream; raises where the framing is not exactly the dialect's."""
    if call.framing is Framing.ARRAY:
        return json.loads(data)
    text = data.decode("utf-8")
    assert not {"\u0085", "\u2028", "\u2029", "\r"} & set(text)
    *events, rest = text.split("\n\n")
    assert rest == ""
    if dialect == "openai-chat":
        assert events.pop() == "data: [DONE]"
    assert all(event.startswith("data: {") and "\n" not in event for event in events)
    return [json.loads(event.removeprefix("data: ")) for event in events]


def without_envelope(event):
    """A Chat Completions chunk less the four fields that are the same in all chunks."""
    common = ("id", "object", "created", "model")
    return {key: value for key, value in event.items() if key not in common}
