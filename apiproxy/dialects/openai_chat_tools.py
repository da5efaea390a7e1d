"""`tools`, `tool_choice` and their legacy forms of Chat Completions (reference 5.1)."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects.fields import as_choice, as_list, as_name, as_object, wrong
from apiproxy.dialects.function_names import FunctionNames
from apiproxy.dialects.tools import BUILT_IN_TYPES, Tools, built_in, calling_config
from apiproxy.wire.types import Json
from gateway.lib.errors import InvalidRequest

_MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY"}
_NAMED = ("function", "custom")
_MODES_WITH_NAMES = {"auto": "VALIDATED", "required": "ANY"}


def read_tools(body: Json, dropped: list[str]) -> Tools:
    tools = Tools(dropped)
    if (given := body.get("tools")) is not None:
        for number, tool in enumerate(as_list(given, "tools")):
            _add(tools, as_object(tool, f"tools[{number}]"), f"tools[{number}]")
    if (legacy := body.get("functions")) is not None:
        for number, function in enumerate(as_list(legacy, "functions")):
            tools.add_function(function, f"functions[{number}]")
    if (search := body.get("web_search_options")) is not None:
        as_object(search, "web_search_options")
        tools.add_built_in("googleSearch")
    return tools


def _add(tools: Tools, tool: Json, at: str) -> None:
    kind = tool.get("type")
    if kind == "function" or (kind is None and "function" in tool):
        tools.add_function(tool.get("function"), f"{at}.function")
        return
    if kind == "custom":
        tools.add_custom(tool.get("custom"), f"{at}.custom")
        return
    if kind is None:
        # Google's own way of writing it: {"google_search": {}}.
        kind = next((key for key in tool if key in BUILT_IN_TYPES), None)
    name = built_in(kind) if isinstance(kind, str) else None
    if name is None:
        raise wrong(
            f"{at}.type", kind, "function, custom, web_search, code_execution or url_context"
        )
    tools.add_built_in(name)


def read_choice(body: Json, tools: Tools, names: FunctionNames) -> Json | None:
    """`toolConfig`, or None where nothing was chosen or there is no function to choose."""
    choice, at = body.get("tool_choice"), "tool_choice"
    if choice is None:
        choice, at = body.get("function_call"), "function_call"
    if choice is None:
        return None
    if isinstance(choice, str):
        return _without_functions(tools, calling_config(_MODES[as_choice(choice, at, _MODES)]))
    given = as_object(choice, at)
    if given.get("type") == "allowed_tools":
        return _allowed(given, at, tools, names)
    if at == "function_call":
        return _forced(given, at, tools, names)
    kind = given.get("type")
    if kind in _NAMED:
        return _forced(given.get(kind), f"{at}.{kind}", tools, names)
    if isinstance(kind, str) and built_in(kind):
        # The upstream decides on its own when to use its tools.
        return None
    raise wrong(f"{at}.type", kind, "function, custom or allowed_tools")


def _without_functions(tools: Tools, config: Json) -> Json | None:
    return config if tools.has_functions() else None


def _forced(value: Any, at: str, tools: Tools, names: FunctionNames) -> Json | None:
    name = as_name(as_object(value, at).get("name"), f"{at}.name")
    return calling_config("ANY", [names.upstream(tools.require(name, f"{at}.name"))])


def _allowed(choice: Json, at: str, tools: Tools, names: FunctionNames) -> Json | None:
    """Both spellings: the fields inside `allowed_tools`, or beside `type`."""
    if (inner := choice.get("allowed_tools")) is not None:
        at = f"{at}.allowed_tools"
        choice = as_object(inner, at)
    mode = _MODES_WITH_NAMES[as_choice(choice.get("mode"), f"{at}.mode", _MODES_WITH_NAMES)]
    allowed: list[str] = []
    for number, item in enumerate(as_list(choice.get("tools"), f"{at}.tools")):
        here = f"{at}.tools[{number}]"
        tool = as_object(item, here)
        kind = tool.get("type", "function")
        if kind not in _NAMED:
            continue
        if (wrapped := tool.get(kind)) is not None:
            here = f"{here}.{kind}"
            tool = as_object(wrapped, here)
        name = as_name(tool.get("name"), f"{here}.name")
        allowed.append(names.upstream(tools.require(name, f"{here}.name")))
    if not allowed:
        raise InvalidRequest(f"{at}.tools must name a function", param=f"{at}.tools")
    return calling_config(mode, allowed)
