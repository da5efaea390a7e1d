"""`tools` and `tool_choice` of the Responses dialect (reference 5.5).

Functions and tools of free text may stand in a `namespace`; upstream each is one function with a name of its own, and
`ToolForm` tells how its calls are written on the way back. Tools that the client runs itself (a shell, patches) become
functions as well; what only OpenAI's servers could run is left out and said in `dropped`.
"""

from __future__ import annotations

from typing import Any

from apiproxy.dialects.fields import as_choice, as_list, as_name, as_object, wrong
from apiproxy.dialects.function_names import FunctionNames
from apiproxy.dialects.openai_responses_client_tools import CLIENT_TOOLS
from apiproxy.dialects.tools import Tools, built_in, calling_config
from apiproxy.wire.types import Json, Model, ToolForm

_MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY"}
_MODES_WITH_NAMES = {"auto": "VALIDATED", "required": "ANY"}
# Where OpenAI's models keep functions that are in no namespace.
_DEFAULT_NAMESPACE = "functions"
# Items of the input by which a client hands in tools in the middle of a conversation.
TOOL_CARRIERS = ("additional_tools", "tool_search_output")
_LONGEST_NOTED = 64
_MOST_NOTED = 5


class ResponsesTools:
    """What is offered, by the key that `key_of` gives a tool."""

    def __init__(self, model: Model, dropped: list[str]) -> None:
        self._tools = Tools(dropped)
        self._keys: set[str] = set()
        self._forms: dict[str, ToolForm] = {}
        self._model = model
        self._dropped = dropped

    def read(self, value: Any, at: str, namespace: str = "", *, carried: bool = False) -> None:
        """`carried`: a tool that is known already stays as it is."""
        for number, item in enumerate(as_list(value, at)):
            here = f"{at}[{number}]"
            tool = as_object(item, here)
            kind = as_name(tool.get("type"), f"{here}.type")
            if kind == "namespace":
                name = as_name(tool.get("name"), f"{here}.name")
                if tool.get("description"):
                    self._dropped.append(f"{here}.description: only its tools are described")
                self.read(tool.get("tools"), f"{here}.tools", name, carried=carried)
            elif kind in ("function", "custom"):
                self._define(tool, here, namespace, carried)
            else:
                self._offer(tool, kind, here)

    def read_carried(self, items: list[tuple[Json, str]]) -> None:
        """Tools that items of the input bring."""
        for item, at in items:
            if item.get("type") in TOOL_CARRIERS and item.get("tools") is not None:
                self.read(item["tools"], f"{at}.tools", carried=True)

    def canonical(self, names: FunctionNames) -> list[Json]:
        return self._tools.canonical(names)

    def names(self) -> FunctionNames:
        return self._tools.names()

    def forms(self, names: FunctionNames) -> dict[str, ToolForm]:
        return {names.upstream(key): form for key, form in self._forms.items()}

    def choice(self, value: Any, names: FunctionNames) -> Json | None:
        """`toolConfig`, or None where nothing was chosen or there is no function to choose."""
        at = "tool_choice"
        if value is None:
            return None
        if isinstance(value, str):
            mode = _MODES[as_choice(value, at, _MODES)]
            return calling_config(mode) if self._tools.has_functions() else None
        given = as_object(value, at)
        if given.get("type") == "allowed_tools":
            return self._allowed(given, names)
        key = self._chosen(given, at)
        return None if key is None else calling_config("ANY", [names.upstream(key)])

    def _define(self, tool: Json, at: str, namespace: str, carried: bool) -> None:
        name = as_name(tool.get("name"), f"{at}.name")
        namespace = "" if namespace == _DEFAULT_NAMESPACE else namespace
        key = key_of(name, namespace)
        if carried and key in self._keys:
            return
        self._keys.add(key)
        keyed = {**tool, "name": key}
        if tool["type"] == "custom":
            self._tools.add_custom(keyed, at)
            self._forms[key] = ToolForm("custom_tool_call", name, namespace)
            return
        self._tools.add_function(keyed, at)
        if namespace:
            self._forms[key] = ToolForm("function_call", name, namespace)

    def _offer(self, tool: Json, kind: str, at: str) -> None:
        if (client_tool := CLIENT_TOOLS.get(kind)) is not None and client_tool.runs(tool):
            if kind not in self._keys:
                self._keys.add(kind)
                self._tools.add_function(client_tool.function(tool), at)
                self._forms[kind] = ToolForm(client_tool.item, kind)
        elif (name := built_in(kind)) is not None:
            self._tools.add_built_in(name)
            self._note_settings(tool, at)
        elif kind == "image_generation" and "image_output" in self._model.capabilities:
            # The model draws without being told that it may.
            self._note_settings(tool, at)
        else:
            self._dropped.append(f"{at}: {kind[:_LONGEST_NOTED]} is not offered here")

    def _note_settings(self, tool: Json, at: str) -> None:
        settings = sorted(key for key in tool.keys() - {"type"} if tool[key] is not None)
        self._dropped.extend(f"{at}.{key[:_LONGEST_NOTED]}" for key in settings[:_MOST_NOTED])

    def _chosen(self, choice: Json, at: str) -> str | None:
        """The key of the function that is meant; None for a tool that the upstream uses as it thinks fit."""
        kind = as_name(choice.get("type"), f"{at}.type")
        if kind in ("function", "custom"):
            name = as_name(choice.get("name"), f"{at}.name")
            namespace = choice.get("namespace")
            key = key_of(name, namespace if isinstance(namespace, str) else "")
            return self._tools.require(key, f"{at}.name")
        return kind if kind in self._forms else None

    def _allowed(self, choice: Json, names: FunctionNames) -> Json | None:
        at = "tool_choice"
        mode = _MODES_WITH_NAMES[as_choice(choice.get("mode"), f"{at}.mode", _MODES_WITH_NAMES)]
        given = as_list(choice.get("tools"), f"{at}.tools")
        if not given:
            raise wrong(f"{at}.tools", given, "a list that names a tool")
        keys = [
            self._chosen(as_object(tool, here), here)
            for number, tool in enumerate(given)
            for here in (f"{at}.tools[{number}]",)
        ]
        allowed = [names.upstream(key) for key in keys if key is not None]
        return calling_config(mode, allowed) if allowed else None


def key_of(name: str, namespace: str) -> str:
    if not namespace or namespace == _DEFAULT_NAMESPACE:
        return name
    return f"{namespace}{'' if namespace.endswith('__') else '__'}{name}"
