"""OpenAI's Images."""

from __future__ import annotations

import base64

from apiproxy.selftest.clients.openai_errors import KINDS, OWN_ERRORS, error_kind
from apiproxy.selftest.clients.whole_only import KEEPALIVE, read_stream
from apiproxy.selftest.talk import Ask, Json, Said, Sent, demand

__all__ = [
    "FEATURES",
    "KEEPALIVE",
    "KINDS",
    "LENT_MODEL",
    "OWN_ERRORS",
    "ask",
    "error_kind",
    "read",
    "read_stream",
]

FEATURES = frozenset({"images", "errors"})
LENT_MODEL = "gemini-2.5-flash-image"


def ask(ask: Ask) -> Sent:
    return Sent("/v1/images/generations", {"model": ask.model, "prompt": ask.text})


def read(answer: Json) -> Said:
    demand(answer["created"] > 0, "the answer has no time")
    usage = answer["usage"]
    total = usage["input_tokens"] + usage["output_tokens"]
    demand(usage["total_tokens"] == total, "the tokens do not add up")
    pictures = [base64.b64decode(image["b64_json"], validate=True) for image in answer["data"]]
    return Said(pictures=len(pictures))
