"""`input` of the Responses dialect, item by item -> `contents` and `systemInstruction` (reference 5.5)."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import media
from apiproxy.dialects.call_ids import split_id
from apiproxy.dialects.carried import carried
from apiproxy.dialects.content import as_written
from apiproxy.dialects.conversation import Conversation
from apiproxy.dialects.fields import (
    as_choice,
    as_list,
    as_name,
    as_object,
    as_text,
    either,
    wrong,
)
from apiproxy.dialects.function_names import FunctionNames
from apiproxy.dialects.history import arguments_object, response_object
from apiproxy.dialects.openai_responses_client_tools import (
    CLIENT_TOOLS,
    NAME_OF_CALL,
    result_text,
)
from apiproxy.dialects.openai_responses_tools import TOOL_CARRIERS, key_of
from apiproxy.dialects.tools import custom_arguments
from apiproxy.wire.types import Json, Model
from gateway.lib.errors import InvalidRequest

_ROLES = ("system", "developer", "user", "assistant")
_TEXT_KINDS = ("input_text", "output_text", "text", "summary_text")
_RESULTS = frozenset(
    {
        "local_shell_call_output",
        "shell_call_output",
        "apply_patch_call_output",
        "tool_search_output",
    }
)
_CUSTOM = frozenset({"custom_tool_call", "custom_tool_call_output"})
_BLANK = " "
_LONGEST_NOTED = 64


class InputReader:
    """Items are read in their order; `canonical` then gives the whole."""

    def __init__(
        self, model: Model, names: FunctionNames, remote: list[Json], dropped: list[str]
    ) -> None:
        self._conversation = Conversation(model)
        self._history = self._conversation.history
        self._system = self._conversation.system
        self._model = model
        self._names = names
        self._remote = remote
        self._dropped = dropped
        self._signature = ""
        """Of the reasoning item read last: it belongs to the model's next text, call or picture."""
        self._after_text = False

    def instruct(self, text: str) -> None:
        if text:
            self._system.append({"text": text})

    def canonical(self) -> Json:
        """`contents`, and `systemInstruction` where there is one."""
        self._settle()
        contents, system = self._conversation.canonical(self._dropped)
        found: Json = {"contents": contents}
        if system is not None:
            found["systemInstruction"] = system
        return found

    def read(self, item: Json, at: str) -> None:
        kind = item.get("type")
        if kind is None and "role" in item:
            kind = "message"
        kind = as_name(kind, f"{at}.type")
        if kind == "message":
            self._message(item, at)
        elif kind == "reasoning":
            self._reasoning(item, at)
        elif kind in ("function_call", "custom_tool_call") or kind in NAME_OF_CALL:
            self._add_model([self._call(item, kind, at)])
        elif kind in ("function_call_output", "custom_tool_call_output") or kind in _RESULTS:
            self._result(item, kind, at)
        elif kind == "image_generation_call" and isinstance(picture := item.get("result"), str):
            mime = f"image/{as_written(item.get('output_format')) or 'png'}"
            self._drawn(media.inline(mime, picture, f"{at}.result"))
        elif kind == "agent_message":
            self._agent_message(item, at)
        elif kind not in TOOL_CARRIERS:
            self._note(kind)

    def _note(self, kind: str) -> None:
        """Once a request, however long its history."""
        note = f"input: {kind[:_LONGEST_NOTED]}"
        if note not in self._dropped:
            self._dropped.append(note)

    def _message(self, item: Json, at: str) -> None:
        role = as_choice(item.get("role"), f"{at}.role", _ROLES)
        parts = self._parts(item.get("content"), f"{at}.content")
        if role == "user":
            self._add_user(parts or [{"text": _BLANK}])
        elif role == "assistant":
            self._answer(parts)
        else:
            if any("text" not in part for part in parts):
                raise InvalidRequest(f"{at}.content must be text", param=f"{at}.content")
            self._system.extend(parts)

    def _agent_message(self, item: Json, at: str) -> None:
        """What another agent of the client's says (openai-python `AgentMessage`, beta)."""
        author = as_name(item.get("author"), f"{at}.author")
        parts = self._parts(item.get("content"), f"{at}.content")
        self._add_user([{"text": f"[Message from {author}]"}, *parts])

    def _answer(self, parts: list[Json]) -> None:
        texts = [part for part in parts if "text" in part]
        for part in texts:
            part["text"] = media.without_echoed_images(part["text"])
        self._add_model(texts)
        self._after_text = bool(texts)
        # A model's own picture is refused without its signature; a user's is welcome.
        self._history.add_user([part for part in parts if "text" not in part])

    def _reasoning(self, item: Json, at: str) -> None:
        self._settle()
        if (content := item.get("encrypted_content")) is not None:
            text = as_text(content, f"{at}.encrypted_content")
            self._signature = carried(text, self._model.id) or ""

    def _call(self, item: Json, kind: str, at: str) -> Json:
        given = item.get("call_id")
        call_id, smuggled = split_id("" if given is None else as_text(given, f"{at}.call_id"))
        if kind in NAME_OF_CALL:
            name = NAME_OF_CALL[kind]
            arguments = CLIENT_TOOLS[name].arguments(item, at)
        else:
            name = _key(item, at)
            arguments = _arguments(item, kind, at)
        call: Json = {"name": self._names.upstream(name), "args": arguments}
        if call_id:
            call["id"] = call_id
        part: Json = {"functionCall": call}
        if smuggled:
            part["thoughtSignature"] = smuggled
        return part

    def _result(self, item: Json, kind: str, at: str) -> None:
        # The result of a local shell has its call's id as its own (openai-python `LocalShellCallOutput`).
        given = either(item, "call_id", "id") if kind in _RESULTS else item.get("call_id")
        # Without an id it is told by the tool's name (openai-python `FunctionCallOutput`).
        name = as_written(item.get("name"))
        call_id, _ = split_id(as_name(given, f"{at}.call_id")) if given or not name else ("", "")
        parts = (
            [{"text": result_text(item)}]
            if kind in _RESULTS
            else self._parts(item.get("output"), f"{at}.output")
        )
        text = "\n".join(part["text"] for part in parts if "text" in part)
        self._settle()
        self._after_text = False
        self._history.add_result(
            call_id=call_id,
            name=name or "unknown_function",
            response={"result": text} if kind in _CUSTOM else response_object(text),
            media=[part for part in parts if "text" not in part],
        )

    def _drawn(self, picture: Json) -> None:
        """With its signature a picture is the model's own, as it was; without, it is refused as such."""
        if self._signature:
            self._add_model([picture])
        else:
            self._add_user([picture])

    def _add_user(self, parts: list[Json]) -> None:
        self._settle()
        self._after_text = False
        self._history.add_user(parts)

    def _add_model(self, parts: list[Json]) -> None:
        if parts and self._signature:
            parts[0]["thoughtSignature"] = self._signature
            self._signature = ""
        self._history.add_model(parts)
        self._after_text = False

    def _settle(self) -> None:
        """A signature that nothing follows ends the text before it, in a part of its own as the model sent it."""
        if self._signature and self._after_text:
            self._history.add_model([{"text": "", "thoughtSignature": self._signature}])
        self._signature = ""

    def _parts(self, content: Any, at: str) -> list[Json]:
        """Empty texts are left out."""
        if content is None:
            return []
        if isinstance(content, str):
            return [{"text": content}] if content else []
        parts = (self._part(item, f"{at}[{n}]") for n, item in enumerate(as_list(content, at)))
        return [part for part in parts if part.get("text") != ""]

    def _part(self, value: Any, at: str) -> Json:
        part = as_object(value, at)
        kind = part.get("type")
        if kind in _TEXT_KINDS:
            return {"text": as_text(part.get("text"), f"{at}.text")}
        if kind == "encrypted_content":
            # Between agents: only OpenAI's models read it.
            self._note(kind)
            return {"text": ""}
        if kind == "refusal":
            return {"text": as_text(part.get("refusal"), f"{at}.refusal")}
        if kind in ("input_image", "input_file") and part.get("file_id") is not None:
            raise InvalidRequest(
                "uploaded files are not kept here: send the file itself", param=f"{at}.file_id"
            )
        if kind == "input_image":
            return media.from_url_field(part.get("image_url"), f"{at}.image_url", self._remote)
        if kind == "input_file":
            if (url := part.get("file_url")) is not None:
                return media.from_url_field(url, f"{at}.file_url", self._remote)
            return media.from_file(part, at, self._remote)
        if kind == "input_audio":
            inner = part.get("input_audio")
            return (
                media.from_audio(part, at)
                if inner is None
                else media.from_audio(inner, f"{at}.input_audio")
            )
        known = "input_text, output_text, refusal, input_image, input_file or input_audio"
        raise wrong(f"{at}.type", kind, f"one of {known}")


def _key(item: Json, at: str) -> str:
    name = as_name(item.get("name"), f"{at}.name")
    namespace = item.get("namespace")
    return name if namespace is None else key_of(name, as_text(namespace, f"{at}.namespace"))


def _arguments(item: Json, kind: str, at: str) -> Json:
    if kind == "custom_tool_call":
        return custom_arguments(as_text(item.get("input"), f"{at}.input"))
    given = item.get("arguments")
    return {} if given is None else arguments_object(as_text(given, f"{at}.arguments"))
