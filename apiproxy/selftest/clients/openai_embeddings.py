"""OpenAI's Embeddings. The errors of the upstream are those of models that chat."""

from __future__ import annotations

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

FEATURES = frozenset({"vectors"})
LENT_MODEL = "gemini-embedding-001"


def ask(ask: Ask) -> Sent:
    body = {"model": ask.model, "input": ask.text, "encoding_format": "float"}
    return Sent("/v1/embeddings", body)


def read(answer: Json) -> Said:
    demand(answer["object"] == "list", "this is no list")
    demand(answer["usage"]["prompt_tokens"] > 0, "no input tokens are counted")
    return Said(vectors=[entry["embedding"] for entry in answer["data"]])
