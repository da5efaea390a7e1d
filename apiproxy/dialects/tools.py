"""Functions, built-in tools and the choice between them -> `tools` and `toolConfig` (reference 3.3, 5.1).

Dialects wrap a function differently; what is inside the wrapping is handled here.
"""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import schema
from apiproxy.dialects.fields import as_choice, as_name, as_object, as_text
from apiproxy.dialects.function_names import FunctionNames
from apiproxy.wire import codec
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
_FREE = "The tool's whole input: plain text, no JSON."
_BUILT_IN_FUNCTIONS = frozenset({"googleSearch", "codeExecution", "urlContext"})


def built_in(kind: str) -> str | None:
    """The upstream's tool for a client's tool type; `web_search…` comes with dates and `preview` behind it."""
    if kind.startswith("web_search"):
        return "googleSearch"
    return BUILT_IN_TYPES.get(kind)


class Tools:
    """What a request offers the model: collected first, as names can be chosen only when all are known."""

    def __init__(self, dropped: list[str] | None = None) -> None:
        """`dropped` hears what of the schemas is lost."""
        self._dropped = dropped
        self._functions: dict[str, tuple[Json, str, str]] = {}
        """Client's name -> (definition, where it stands, which of its fields is the schema)."""
        self._custom: set[str] = set()
        """Those of `_functions` that take free text."""
        self._built_in: dict[str, Json] = {}

    def add_function(self, value: Any, at: str, schema_field: str = "parameters") -> None:
        """`value`: {name, description?, parameters?}. Three names mean built-in tools, by older gateways' custom."""
        function = as_object(value, at)
        name = as_name(function.get("name"), f"{at}.name")
        if name in _BUILT_IN_FUNCTIONS:
            self.add_built_in(name)
        else:
            self._define(name, function, at, schema_field)

    def add_custom(self, value: Any, at: str) -> None:
        """OpenAI's tool of free text. `value`: {name, description?, format?}; it is offered as a function of one string."""
        custom = as_object(value, at)
        name = as_name(custom.get("name"), f"{at}.name")
        rule = _input_rule(custom, f"{at}.format")
        if rule != _FREE and self._dropped is not None:
            self._dropped.append(f"{at}.format: the model is told the grammar, nothing enforces it")
        self._define(name, _as_function(custom, rule, at), at, "parameters")
        self._custom.add(name)

    def _define(self, name: str, function: Json, at: str, schema_field: str) -> None:
        if name in self._functions:
            raise InvalidRequest(f"the function {name!r} is defined twice", param=f"{at}.name")
        self._functions[name] = (function, at, schema_field)

    def add_built_in(self, name: str) -> None:
        self._built_in[name] = {}

    def names(self) -> FunctionNames:
        return FunctionNames(self._functions)

    def custom(self, names: FunctionNames) -> frozenset[str]:
        """Upstream names of the tools of free text, for `Call.custom_tools`."""
        return frozenset(map(names.upstream, self._custom))

    def require(self, name: str, at: str) -> str:
        if name not in self._functions:
            raise InvalidRequest(
                f"{at} names the function {name!r}, which tools does not define", param=at
            )
        return name

    def has_function(self, name: Any) -> bool:
        return isinstance(name, str) and name in self._functions

    def has_functions(self) -> bool:
        return bool(self._functions)

    def canonical(self, names: FunctionNames) -> list[Json]:
        tools: list[Json] = []
        if self._functions:
            declarations = [
                _declaration(function, names.upstream(name), at, schema_field, self._dropped)
                for name, (function, at, schema_field) in self._functions.items()
            ]
            tools.append({"functionDeclarations": declarations})
        tools.extend({name: settings} for name, settings in self._built_in.items())
        return tools


def custom_input(arguments: Any) -> str:
    """What the model wrote for a tool of free text: `input` of a call's `args`, or all of them when it strayed."""
    text = arguments.get("input") if isinstance(arguments, dict) else None
    return text if isinstance(text, str) else codec.dumps(arguments or {}).decode()


def custom_arguments(text: str) -> Json:
    """The way back: a call of a history as `functionCall.args`."""
    return {"input": text}


def _as_function(custom: Json, rule: str, at: str) -> Json:
    function: Json = {
        "parameters": {
            "type": "object",
            "properties": {"input": {"type": "string", "description": rule}},
            "required": ["input"],
        }
    }
    if (description := custom.get("description")) is not None:
        function["description"] = as_text(description, f"{at}.description")
    return function


def _input_rule(custom: Json, at: str) -> str:
    """What the model is told to write. A grammar stands in the format's `grammar`, or beside its type."""
    if custom.get("format") is None:
        return _FREE
    wanted = as_object(custom["format"], at)
    if as_choice(wanted.get("type"), f"{at}.type", ("text", "grammar")) == "text":
        return _FREE
    if (inner := wanted.get("grammar")) is not None:
        at = f"{at}.grammar"
        wanted = as_object(inner, at)
    syntax = as_text(wanted.get("syntax"), f"{at}.syntax")
    definition = as_text(wanted.get("definition"), f"{at}.definition")
    return f"{_FREE} It must match this {syntax} grammar:\n{definition}"


def _declaration(
    function: Json, name: str, at: str, schema_field: str, dropped: list[str] | None
) -> Json:
    declaration: Json = {"name": name}
    if (description := function.get("description")) is not None:
        declaration["description"] = as_text(description, f"{at}.description")
    if (given := function.get(schema_field)) is not None:
        parameters = schema.parameters(given, f"{at}.{schema_field}", dropped)
        if parameters is not None:
            declaration["parametersJsonSchema"] = parameters
    return declaration


def calling_config(mode: str, allowed: list[str] | None = None) -> Json:
    """`toolConfig`; names go with ANY and VALIDATED only."""
    config: Json = {"mode": mode}
    if allowed:
        config["allowedFunctionNames"] = allowed
    return {"functionCallingConfig": config}


def settle_conflicts(body: Json, model: Model, dropped: list[str]) -> None:
    """Functions and built-in tools exclude each other, and before Gemini 3 either excludes JSON mode (a 400 upstream):
    functions stay, then JSON mode, then built-in tools. What goes is said in `dropped`.

    The public API would take functions beside built-in tools on Gemini 3, if `includeServerSideToolInvocations` is set;
    then it makes calls of its own that the client has to send back, which only the native dialect can carry.
    """
    tools: list[Json] = body.get("tools", [])
    functions = [tool for tool in tools if "functionDeclarations" in tool]
    generation: Json = body.get("generationConfig", {})
    wants_json = "responseMimeType" in generation and not model.tools_with_json
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
