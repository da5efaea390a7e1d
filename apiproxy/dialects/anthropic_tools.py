"""`tools` and `tool_choice` of the Messages dialect (reference 5.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiproxy.dialects.fields import as_choice, as_flag, as_list, as_name, as_object
from apiproxy.dialects.function_names import FunctionNames
from apiproxy.dialects.tools import Tools, calling_config
from apiproxy.wire.types import Json

# Their types end in a date.
_SERVER_TOOLS = {
    "web_search_": "googleSearch",
    "code_execution_": "codeExecution",
    "web_fetch_": "urlContext",
}
_MODES = {"auto": "AUTO", "any": "ANY", "none": "NONE"}
_LONGEST_NOTED = 64


class ClientTools:
    """What a request offers; tools that only Anthropic's models or servers know are left out and noted in `dropped`."""

    def __init__(self, value: Any, dropped: list[str]) -> None:
        self._tools = Tools(dropped)
        self._dropped = dropped
        self._others: set[str] = set()
        """Names that stand for no function: of the upstream's own tools, and of those left out."""
        for number, item in enumerate([] if value is None else as_list(value, "tools")):
            at = f"tools[{number}]"
            self._add(as_object(item, at), at)

    def read_added(self, messages: Any) -> None:
        """Tools that system messages define in the middle of a conversation."""
        for tool, at in _definitions(messages):
            if not self._tools.has_function(tool.get("name")):
                self._add(tool, at)

    def _add(self, tool: Json, at: str) -> None:
        kind = tool.get("type")
        if kind is None or kind == "custom":
            self._tools.add_function(tool, at, "input_schema")
            return
        kind = as_name(kind, f"{at}.type")
        found = next(
            (name for start, name in _SERVER_TOOLS.items() if kind.startswith(start)), None
        )
        if found is not None:
            self._tools.add_built_in(found)
        else:
            self._dropped.append(f"{at}: the tool {kind[:_LONGEST_NOTED]} does not exist here")
        if isinstance(name := tool.get("name"), str):
            self._others.add(name)

    def names(self) -> FunctionNames:
        return self._tools.names()

    def canonical(self, names: FunctionNames) -> list[Json]:
        return self._tools.canonical(names)

    def choice(self, value: Any, names: FunctionNames) -> tuple[Json | None, bool]:
        """(`toolConfig` or None, whether only one call may be made)."""
        if value is None:
            return None, False
        given = as_object(value, "tool_choice")
        kind = as_choice(given.get("type"), "tool_choice.type", (*_MODES, "tool"))
        single = as_flag(
            given.get("disable_parallel_tool_use"), "tool_choice.disable_parallel_tool_use"
        )
        if kind == "tool":
            return self._forced(given, names), single
        return calling_config(_MODES[kind]) if self._tools.has_functions() else None, single

    def _forced(self, choice: Json, names: FunctionNames) -> Json | None:
        at = "tool_choice.name"
        name = as_name(choice.get("name"), at)
        if name in self._others:
            # The upstream decides on its own when to use its tools.
            return None
        return calling_config("ANY", [names.upstream(self._tools.require(name, at))])


def _definitions(messages: Any) -> Iterator[tuple[Json, str]]:
    """(tool, where it stands). What else is wrong with a message is told where the messages are read."""
    for number, message in enumerate(_list(messages)):
        content = message.get("content") if isinstance(message, dict) else None
        for position, block in enumerate(_list(content)):
            tool = block.get("tool") if isinstance(block, dict) else None
            if isinstance(tool, dict) and block.get("type") == "tool_addition":
                at = f"messages[{number}].content[{position}].tool.definition"
                if tool.get("type") == "tool_definition":
                    yield as_object(tool.get("definition"), at), at


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
