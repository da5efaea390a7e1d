"""`system` and `messages` of the Messages dialect -> `contents` and `systemInstruction` (reference 5.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiproxy.dialects import media
from apiproxy.dialects.anthropic_content import Content
from apiproxy.dialects.call_ids import split_id
from apiproxy.dialects.carried import carried
from apiproxy.dialects.conversation import Conversation
from apiproxy.dialects.fields import as_choice, as_flag, as_list, as_name, as_object, as_text
from apiproxy.dialects.function_names import FunctionNames
from apiproxy.dialects.history import arguments_object, response_object
from apiproxy.wire.types import Json, Model
from gateway.lib.errors import InvalidRequest

_ROLES = ("user", "assistant", "system", "developer")
_SYSTEM_BLOCKS = ("text", "tool_addition", "tool_removal")
# The upstream refuses a part without content.
_BLANK = " "
# What some command line tools put first is for the bill of their vendor, not for the model.
_BILLING = "x-anthropic-billing-header"


class _Reader:
    def __init__(
        self, model: Model, names: FunctionNames, remote: list[Json], dropped: list[str]
    ) -> None:
        self.conversation = Conversation(model)
        self._history = self.conversation.history
        self._content = Content(remote, dropped)
        self._names = names
        self._model = model

    def read(self, message: Json, at: str) -> None:
        role = as_choice(message.get("role"), f"{at}.role", _ROLES)
        content, at = message.get("content"), f"{at}.content"
        if role == "user":
            self._read_user(content, at)
        elif role == "assistant":
            self._read_assistant(content, at)
        elif content is not None or message.get("output_config") is None:
            self.read_system(content, at)

    def read_system(self, content: Any, at: str) -> None:
        for block, here in _blocks(content, at):
            if block.get("type") not in _SYSTEM_BLOCKS:
                raise InvalidRequest(f"{here}.type must be text", param=f"{here}.type")
            parts = self._content.parts(block, here)
            self.conversation.system += [
                part for part in parts if not part["text"].startswith(_BILLING)
            ]

    def _read_user(self, content: Any, at: str) -> None:
        """Whatever the order in the message, the answers to calls come first upstream."""
        parts: list[Json] = []
        answered = False
        for block, here in _blocks(content, at):
            if block.get("type") == "tool_result":
                self._read_result(block, here)
                answered = True
            else:
                parts += self._content.parts(block, here)
        self._history.add_user(parts if parts or answered else [{"text": _BLANK}])

    def _read_result(self, block: Json, at: str) -> None:
        call_id, _ = split_id(as_name(block.get("tool_use_id"), f"{at}.tool_use_id"))
        parts: list[Json] = []
        if (content := block.get("content")) is not None:
            for inner, here in _blocks(content, f"{at}.content"):
                parts += self._content.parts(inner, here)
        text = "\n".join(part["text"] for part in parts if "text" in part)
        failed = as_flag(block.get("is_error"), f"{at}.is_error")
        self._history.add_result(
            call_id=call_id,
            name="",
            response={"error": text} if failed else response_object(text),
            media=[part for part in parts if "text" not in part],
        )

    def _read_assistant(self, content: Any, at: str) -> None:
        turn = _ModelTurn()
        pictures: list[Json] = []
        for block, here in _blocks(content, at):
            kind = block.get("type")
            if kind == "thinking":
                turn.think(self._signature(block, here))
            elif kind == "tool_use":
                turn.parts.append(self._call(block, here))
            else:
                for part in self._content.parts(block, here):
                    if "text" in part:
                        turn.parts.append({"text": media.without_echoed_images(part["text"])})
                    else:
                        pictures.append(part)
        turn.end()
        self._history.add_model(turn.parts)
        # A model's own picture is refused without its signature, which clients do not keep; a user's is welcome.
        self._history.add_user(pictures)

    def _signature(self, block: Json, at: str) -> str:
        """Of a thought that was shown by this gateway; others, and the words of all, are of no use to the model."""
        value = block.get("signature")
        if value is None:
            return ""
        signature = carried(as_text(value, f"{at}.signature"), self._model.id)
        if signature is None:
            self._content.note("thinking: not of this gateway and this family of models")
        return signature or ""

    def _call(self, block: Json, at: str) -> Json:
        call_id, smuggled = split_id(as_name(block.get("id"), f"{at}.id"))
        name = self._names.upstream(as_name(block.get("name"), f"{at}.name"))
        given = block.get("input")
        if given is None:
            given = {}
        elif isinstance(given, str):
            given = arguments_object(given)
        call: Json = {"name": name, "args": as_object(given, f"{at}.input"), "id": call_id}
        part: Json = {"functionCall": call}
        if smuggled:
            part["thoughtSignature"] = smuggled
        return part


class _ModelTurn:
    """Parts of one assistant message. A signature that came with a thought belongs to what followed the thought: the
    first call, or else the last text."""

    def __init__(self) -> None:
        self.parts: list[Json] = []
        self._signature = ""
        self._since = 0

    def think(self, signature: str) -> None:
        self.end()
        self._signature, self._since = signature, len(self.parts)

    def end(self) -> None:
        following = self.parts[self._since :]
        if self._signature and following:
            signed = next((part for part in following if "functionCall" in part), following[-1])
            signed.setdefault("thoughtSignature", self._signature)
        self._signature = ""


def read_conversation(
    body: Json, model: Model, names: FunctionNames, remote: list[Json], dropped: list[str]
) -> tuple[list[Json], Json | None]:
    """(contents, systemInstruction or None). Parts to be fetched are appended to `remote`, what was mended to `dropped`."""
    messages = as_list(body.get("messages"), "messages")
    if not messages:
        raise InvalidRequest("messages must hold at least one message", param="messages")
    reader = _Reader(model, names, remote, dropped)
    if (system := body.get("system")) is not None:
        reader.read_system(system, "system")
    last_asked = _last_of_user(messages)
    for number, item in enumerate(messages):
        at = f"messages[{number}]"
        message = as_object(item, at)
        # What a client says of one turn only is not shown in later ones.
        if number >= last_asked or message.get("clear_at") != "next_user_message":
            reader.read(message, at)
    return reader.conversation.canonical(dropped)


def _last_of_user(messages: list[Any]) -> int:
    for number in reversed(range(len(messages))):
        message = messages[number]
        if isinstance(message, dict) and message.get("role") == "user":
            return number
    return -1


def _blocks(content: Any, at: str) -> Iterator[tuple[Json, str]]:
    """(block, where it stands); a string is one block of text."""
    if isinstance(content, str):
        yield {"type": "text", "text": content}, at
        return
    for number, item in enumerate(as_list(content, at)):
        here = f"{at}[{number}]"
        yield as_object(item, here), here
