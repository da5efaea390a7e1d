"""Functions, built-in tools and the choice between them -> `tools` and `toolConfig` (reference 3.3, 5.1).

Dialects wrap a function differently; what is inside the wrapping is handled here.
"""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import schema
from apiproxy.dialects.fields import as_name, as_object, as_text
from apiproxy.dialects.function_names import FunctionNames
from apiproxy.wire.types import Json, Model
from gateway.lib.errors import InvalidRequest

BUILT_IN_TYPES = {
    "google_search": "googleSearch",
    "googleSearch": "googleSearch",
    "code_execution": "codeExecution",
    "codeExecution": "codeExecution",
    "code_interpreter": "codeExecution",
    "url_context": "urlContext",
    "urlContext": "urlContext",
}
_BUILT_IN_FUNCTIONS = frozenset({"googleSearch", "codeExecution", "urlContext"})


def built_in(kind: str) -> str | None:
    """The upstream's tool for a client's tool type; `web_search…` comes with dates and `preview` behind it."""
    if kind.startswith("web_search"):
        return "googleSearch"
    return BUILT_IN_TYPES.get(kind)


class Tools:
    """What a request offers the model: collected first, as names can be chosen only when all are known."""

    def __init__(self) -> None:
        self._functions: dict[str, tuple[Json, str]] = {}
        """Client's name -> (definition, where it stands)."""
        self._built_in: dict[str, Json] = {}

    def add_function(self, value: Any, at: str) -> None:
        """`value`: {name, description?, parameters?}. Three names mean built-in tools, by older gateways' custom."""
        function = as_object(value, at)
        name = as_name(function.get("name"), f"{at}.name")
        if name in _BUILT_IN_FUNCTIONS:
            self.add_built_in(name)
        elif name in self._functions:
            raise InvalidRequest(f"the function {name!r} is defined twice", param=f"{at}.name")
        else:
            self._functions[name] = (function, at)

    def add_built_in(self, name: str) -> None:
        self._built_in[name] = {}

    def names(self) -> FunctionNames:
        return FunctionNames(self._functions)

    def require(self, name: str, at: str) -> str:
        if name not in self._functions:
            raise InvalidRequest(
                f"{at} names the function {name!r}, which tools does not define", param=at
            )
        return name

    def has_functions(self) -> bool:
        return bool(self._functions)

    def canonical(self, names: FunctionNames) -> list[Json]:
        tools: list[Json] = []
        if self._functions:
            declarations = [
                _declaration(function, names.upstream(name), at)
                for name, (function, at) in self._functions.items()
            ]
            tools.append({"functionDeclarations": declarations})
        tools.extend({name: settings} for name, settings in self._built_in.items())
        return tools


def _declaration(function: Json, name: str, at: str) -> Json:
    declaration: Json = {"name": name}
    if (description := function.get("description")) is not None:
        declaration["description"] = as_text(description, f"{at}.description")
    if (given := function.get("parameters")) is not None:
        parameters = schema.clean(given, f"{at}.parameters")
        if not schema.takes_nothing(parameters):
            declaration["parametersJsonSchema"] = parameters
    return declaration


def calling_config(mode: str, allowed: list[str] | None = None) -> Json:
    """`toolConfig`; names go with ANY and VALIDATED only."""
    config: Json = {"mode": mode}
    if allowed:
        config["allowedFunctionNames"] = allowed
    return {"functionCallingConfig": config}


def settle_conflicts(body: Json, model: Model, dropped: list[str]) -> None:
    """Before Gemini 3 functions, built-in tools and JSON mode exclude each other (a 400 upstream): functions stay,
    then JSON mode, then built-in tools. What goes is said in `dropped`.
    """
    if model.tools_with_json:
        return
    tools: list[Json] = body.get("tools", [])
    functions = [tool for tool in tools if "functionDeclarations" in tool]
    generation: Json = body.get("generationConfig", {})
    wants_json = "responseMimeType" in generation
    if functions and wants_json:
        del generation["responseMimeType"]
        generation.pop("responseJsonSchema", None)
        _replace(body, "generationConfig", generation)
        dropped.append(f"response_format: {model.id} takes no JSON mode together with functions")
    if len(tools) > len(functions) and (functions or wants_json):
        other = "functions" if functions else "JSON mode"
        dropped.extend(
            f"{next(iter(tool))}: {model.id} does not combine it with {other}"
            for tool in tools
            if tool not in functions
        )
        _replace(body, "tools", functions)


def _replace(body: Json, key: str, value: Any) -> None:
    """Set it, or leave no empty one behind."""
    if value:
        body[key] = value
    else:
        body.pop(key, None)
