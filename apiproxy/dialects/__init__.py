"""The client formats. `DIALECTS` is the whole list: mypy checks each module against the protocol here."""

from __future__ import annotations

from apiproxy.dialects import (
    anthropic_messages,
    gemini,
    openai_chat,
    openai_embeddings,
    openai_images,
    openai_responses,
    simple,
)
from apiproxy.dialects.base import Dialect

DIALECTS: dict[str, Dialect] = {
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "anthropic-messages": anthropic_messages,
    "openai-embeddings": openai_embeddings,
    "openai-images": openai_images,
    "simple": simple,
    "gemini": gemini,
}
