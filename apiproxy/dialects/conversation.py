"""What the messages of a request come to: `contents` and `systemInstruction`, in the order and form Google accepts."""

from __future__ import annotations

from apiproxy.dialects.history import History
from apiproxy.wire.types import Json, Model


class Conversation:
    """Readers put turns into `history` and instructions into `system`, as {"text": …} parts."""

    def __init__(self, model: Model) -> None:
        # Gemini 3 is told by its strict signatures.
        self.history = History(
            media_in_results=model.strict_signatures, ends_with_user=model.strict_signatures
        )
        self.system: list[Json] = []
        self._model = model

    def canonical(self, notes: list[str]) -> tuple[list[Json], Json | None]:
        """(contents, systemInstruction or None); what had to be mended is appended to `notes`."""
        contents, system = self._canonical()
        notes.extend(self.history.notes)
        return contents, system

    def _canonical(self) -> tuple[list[Json], Json | None]:
        if not self.system:
            return self.history.contents(), None
        if self.history.is_empty():
            # The upstream wants at least one content.
            return [{"role": "user", "parts": self.system}], None
        contents = self.history.contents()
        if not _takes_instructions(self._model):
            # The first content is the user's.
            contents[0]["parts"][:0] = self.system
            return contents, None
        return contents, {"parts": self.system}


def _takes_instructions(model: Model) -> bool:
    """Not so image models before Gemini 3 (reference 3.3), nor speech models (not verified)."""
    draws = "image_output" in model.capabilities
    return not model.only_speaks and (model.strict_signatures or not draws)
