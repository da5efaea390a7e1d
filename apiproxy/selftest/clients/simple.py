"""The two endpoints that take a prompt and nothing else."""

from __future__ import annotations

import base64

from apiproxy.selftest.clients.openai_errors import KINDS, OWN_ERRORS, error_kind
from apiproxy.selftest.clients.whole_only import KEEPALIVE, read_stream
from apiproxy.selftest.talk import PICTURE_DATA, PICTURE_TYPE, Ask, Json, Said, Sent, demand

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

FEATURES = frozenset({"prompt", "vision", "images", "errors"})
LENT_MODEL = "gemini-2.5-flash"

_URL = f"data:{PICTURE_TYPE};base64,"


def ask(ask: Ask) -> Sent:
    body: Json = {"model": ask.model, "prompt": ask.text}
    if ask.draw:
        return Sent("/v1/generate-images", body)
    if ask.system:
        body["system"] = ask.system
    if ask.picture:
        body["image"] = _URL + PICTURE_DATA
    return Sent("/v1/generate", body)


def read(answer: Json) -> Said:
    usage = answer["usage"]
    # Nothing says why it ended: a whole answer counts as a finished one.
    said = Said(text=answer.get("text", ""), endings=["stop"])
    said.input_tokens, said.output_tokens = usage["input_tokens"], usage["output_tokens"]
    for url in answer.get("images", ()):
        demand(url.startswith(_URL), f"a picture is {url[:40]!r}")
        said.pictures += bool(base64.b64decode(url.removeprefix(_URL), validate=True))
    return said
