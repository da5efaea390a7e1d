"""The client formats. `DIALECTS` is the whole list: mypy checks each module against the protocol here."""

from __future__ import annotations

from apiproxy.dialects import gemini, openai_chat
from apiproxy.dialects.base import Dialect

DIALECTS: dict[str, Dialect] = {
    "openai-chat": openai_chat,
    "gemini": gemini,
}
