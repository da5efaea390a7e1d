"""`messages` of Chat Completions -> `contents` and `systemInstruction` (reference 5.1)."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import media
from apiproxy.dialects.call_ids import split_id
from apiproxy.dialects.conversation import Conversation
from apiproxy.dialects.fields import as_choice, as_list, as_name, as_object, as_text
from apiproxy.dialects.function_names import FunctionNames
from apiproxy.dialects.history import arguments_object, response_object
from apiproxy.dialects.tools import custom_arguments
from apiproxy.wire.types import Json, Model
from gateway.lib.errors import InvalidRequest

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
# The upstream refuses a part without content.
_BLANK = " "


class _Reader:
    def __init__(self, model: Model, names: FunctionNames, remote: list[Json]) -> None:
        self.conversation = Conversation(model)
        self._history = self.conversation.history
        self._system = self.conversation.system
        self._names = names
        self._remote = remote

    def read_plain(self, message: Any) -> bool:
        """The short way for what almost every message is, a role and a text; False for anything else."""
        if type(message) is not dict or len(message) != 2:
            return False
        content = message.get("content")
        if type(content) is not str or not content:
            return False
        role = message.get("role")
        if role == "user":
            self._history.add_user([{"text": content}])
        elif role == "assistant":
            self._history.add_model([{"text": media.without_echoed_images(content)}])
        elif role in ("system", "developer"):
            self._system.append({"text": content})
        else:
            return False
        return True

    def read(self, message: Json, at: str) -> None:
        role = as_choice(message.get("role"), f"{at}.role", _ROLES)
        if role == "user":
            self._history.add_user(self._parts(message, at) or [{"text": _BLANK}])
        elif role == "assistant":
            self._read_assistant(message, at)
        elif role in ("tool", "function"):
            self._read_result(message, at)
        else:
            self._read_system(message, at)

    def _read_system(self, message: Json, at: str) -> None:
        for part in self._parts(message, at):
            if "text" not in part:
                raise InvalidRequest(f"{at}.content must be text", param=f"{at}.content")
            self._system.append(part)

    def _read_assistant(self, message: Json, at: str) -> None:
        given = [] if message.get("content") is None else self._parts(message, at)
        parts = [part for part in given if "text" in part]
        for part in parts:
            part["text"] = media.without_echoed_images(part["text"])
        if (refusal := message.get("refusal")) is not None and (
            text := as_text(refusal, f"{at}.refusal")
        ):
            parts.append({"text": text})
        if parts and (signature := _signature(message, at)):
            parts[-1]["thoughtSignature"] = signature
        for number, call in enumerate(_calls(message, at)):
            parts.append(self._call_part(call, f"{at}.tool_calls[{number}]"))
        if (legacy := message.get("function_call")) is not None:
            parts.append({"functionCall": self._call("", legacy, f"{at}.function_call")})
        self._history.add_model(parts)
        # A model's own picture is refused without its signature, which clients do not keep; a user's is welcome.
        self._history.add_user([part for part in given if "text" not in part])

    def _call_part(self, value: Any, at: str) -> Json:
        call = as_object(value, at)
        call_id, smuggled = split_id(as_text(call.get("id") or "", f"{at}.id"))
        if call.get("type") == "custom":
            made = self._custom_call(call_id, call.get("custom"), f"{at}.custom")
        else:
            made = self._call(call_id, call.get("function"), f"{at}.function")
        part: Json = {"functionCall": made}
        if signature := _signature(call, at) or smuggled:
            part["thoughtSignature"] = signature
        return part

    def _call(self, call_id: str, value: Any, at: str) -> Json:
        function = as_object(value, at)
        name = self._names.upstream(as_name(function.get("name"), f"{at}.name"))
        arguments = function.get("arguments")
        if arguments is None:
            arguments = {}
        elif not isinstance(arguments, dict):
            arguments = arguments_object(as_text(arguments, f"{at}.arguments"))
        call: Json = {"name": name, "args": arguments}
        if call_id:
            call["id"] = call_id
        return call

    def _custom_call(self, call_id: str, value: Any, at: str) -> Json:
        custom = as_object(value, at)
        arguments = custom_arguments(as_text(custom.get("input"), f"{at}.input"))
        return self._call(call_id, {"name": custom.get("name"), "arguments": arguments}, at)

    def _read_result(self, message: Json, at: str) -> None:
        call_id = ""
        if message["role"] == "tool":
            call_id, _ = split_id(as_name(message.get("tool_call_id"), f"{at}.tool_call_id"))
        name = message.get("name")
        if name is not None:
            name = self._names.upstream(as_name(name, f"{at}.name"))
        parts = self._parts(message, at)
        text = "\n".join(part["text"] for part in parts if "text" in part)
        self._history.add_result(
            call_id=call_id,
            name=name or "unknown_function",
            response=response_object(text),
            media=[part for part in parts if "text" not in part],
        )

    def _parts(self, message: Json, at: str) -> list[Json]:
        """Empty texts are left out."""
        content = message.get("content")
        if isinstance(content, str):
            return [{"text": content}] if content else []
        if content is None and message["role"] in ("tool", "function"):
            return []
        at = f"{at}.content"
        parts = (self._part(item, f"{at}[{n}]") for n, item in enumerate(as_list(content, at)))
        return [part for part in parts if part.get("text") != ""]

    def _part(self, value: Any, at: str) -> Json:
        part = as_object(value, at)
        kind = part.get("type")
        if kind == "text":
            return {"text": as_text(part.get("text"), f"{at}.text")}
        if kind == "image_url":
            return media.from_url_field(part.get(kind), f"{at}.{kind}", self._remote)
        if kind == "input_audio":
            return media.from_audio(part.get(kind), f"{at}.{kind}")
        if kind == "file":
            return media.from_file(part.get(kind), f"{at}.{kind}", self._remote)
        if kind in ("video_url", "input_video"):
            return media.from_url_field(part.get(kind), f"{at}.{kind}", self._remote)
        if kind == "refusal":
            return {"text": as_text(part.get("refusal"), f"{at}.refusal")}
        known = "text, image_url, input_audio, file, video_url or refusal"
        raise InvalidRequest(f"{at}.type must be {known}", param=f"{at}.type")


def read_messages(
    value: Any, model: Model, names: FunctionNames, remote: list[Json], dropped: list[str]
) -> tuple[list[Json], Json | None]:
    """(contents, systemInstruction or None). Parts to be fetched are appended to `remote`, what was mended to `dropped`."""
    messages = as_list(value, "messages")
    if not messages:
        raise InvalidRequest("messages must hold at least one message", param="messages")
    reader = _Reader(model, names, remote)
    for number, message in enumerate(messages):
        if not reader.read_plain(message):
            at = f"messages[{number}]"
            reader.read(as_object(message, at), at)
    return reader.conversation.canonical(dropped)


def _calls(message: Json, at: str) -> list[Any]:
    calls = message.get("tool_calls")
    return [] if calls is None else as_list(calls, f"{at}.tool_calls")


def _signature(holder: Json, at: str) -> str:
    """`extra_content.google.thought_signature`, Google's own place for it in this dialect."""
    extra = holder.get("extra_content")
    if extra is None:
        return ""
    at = f"{at}.extra_content"
    google = as_object(extra, at).get("google")
    if google is None:
        return ""
    signature = as_object(google, f"{at}.google").get("thought_signature")
    if signature is None:
        return ""
    return as_text(signature, f"{at}.google.thought_signature")
