"""Whether a model does what it is asked for; before anything is reserved or sent. Pure."""

from __future__ import annotations

from apiproxy.wire.types import Action, Call
from gateway.lib.errors import InvalidRequest

_EMBEDS = "embedding"


def check(call: Call) -> None:
    """Raises InvalidRequest. Tokens can be counted for any model."""
    model = call.model
    embeds = _EMBEDS in model.capabilities
    if call.action is Action.EMBED and not embeds:
        raise InvalidRequest(
            f"{model.id} writes answers, it makes no embeddings: name an embedding model, such as "
            "gemini-embedding-001",
            param="model",
        )
    if call.action is Action.GENERATE and embeds and "chat" not in model.capabilities:
        raise InvalidRequest(
            f"{model.id} only makes embeddings: ask it at /v1/embeddings, or name a model that writes",
            param="model",
        )
