"""One module a dialect; its functions satisfy `talk.Client`. Registered here, it has every case that its features allow."""

from __future__ import annotations

from apiproxy.selftest.clients import (
    anthropic_messages,
    gemini,
    openai_chat,
    openai_embeddings,
    openai_images,
    openai_responses,
    simple,
)
from apiproxy.selftest.talk import Client

CLIENTS: dict[str, Client] = {
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "openai-embeddings": openai_embeddings,
    "openai-images": openai_images,
    "anthropic-messages": anthropic_messages,
    "gemini": gemini,
    "simple": simple,
}
