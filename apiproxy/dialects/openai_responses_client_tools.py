"""Tools of the Responses dialect that OpenAI's models know by heart and the client runs itself: shells, patches, the search
for further tools. Here each is offered as a function; its calls and results keep the items of their own that clients
expect (shapes: openai-python `types/responses`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from apiproxy.dialects.content import as_written
from apiproxy.dialects.fields import as_object
from apiproxy.wire import codec
from apiproxy.wire.types import Json


class ClientTool(Struct, frozen=True):
    item: str
    """The type of the item that holds a call."""
    function: Callable[[Json], Json]
    """The tool as the client declared it -> the function offered in its place."""
    fields: Callable[[Json], Json]
    """A call's arguments -> the item's own fields."""
    arguments: Callable[[Json, str], Json]
    """The way back: (item, where it stands) -> the arguments."""
    runs: Callable[[Json], bool] = lambda tool: True
    """Whether the client runs it, as declared."""


def _function(name: str, description: str, properties: Json, *required: str) -> Json:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"name": name, "description": description, "parameters": parameters}


_STRINGS = {"type": "array", "items": {"type": "string"}}
_TIMEOUT = {"type": "integer", "description": "Milliseconds the command may take."}

_LOCAL_SHELL = _function(
    "local_shell",
    "Run a command on the user's machine and get its output.",
    {
        "command": {**_STRINGS, "description": "The program and its arguments."},
        "working_directory": {"type": "string"},
        "timeout_ms": _TIMEOUT,
    },
    "command",
)
_SHELL = _function(
    "shell",
    "Run shell commands on the user's machine and get their output.",
    {
        "commands": {**_STRINGS, "description": "Command lines; each runs in a shell."},
        "timeout_ms": _TIMEOUT,
        "max_output_length": {"type": "integer", "description": "Characters of output to return."},
    },
    "commands",
)
_APPLY_PATCH = _function(
    "apply_patch",
    "Create, update or delete one file of the user's.",
    {
        "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
        "path": {"type": "string"},
        "diff": {
            "type": "string",
            "description": "Not for delete_file. V4A diff without file headers: hunks begin with @@, lines "
            "with ' ', '-' or '+'; for create_file every line begins with '+'.",
        },
    },
    "type",
    "path",
)
_LARGEST = 2**53
_OPERATIONS = ("create_file", "update_file", "delete_file")


def _local_shell_fields(arguments: Json) -> Json:
    action: Json = {"type": "exec", "command": _texts(arguments.get("command")), "env": {}}
    if folder := as_written(arguments.get("working_directory")):
        action["working_directory"] = folder
    return {"action": action | _numbers(arguments, "timeout_ms")}


def _shell_fields(arguments: Json) -> Json:
    limits = _numbers(arguments, "timeout_ms", "max_output_length")
    return {"action": {"commands": _texts(arguments.get("commands")), **limits}}


def _apply_patch_fields(arguments: Json) -> Json:
    kind = arguments.get("type")
    operation = {
        "type": kind if kind in _OPERATIONS else "update_file",
        "path": as_written(arguments.get("path")),
    }
    if operation["type"] != "delete_file":
        operation["diff"] = as_written(arguments.get("diff"))
    return {"operation": operation}


def _tool_search_function(tool: Json) -> Json:
    function: Json = {"name": "tool_search"}
    for key in ("description", "parameters"):
        if tool.get(key) is not None:
            function[key] = tool[key]
    return function


def _has_no_container(shell: Json) -> bool:
    """Containers are OpenAI's own machines."""
    environment = shell.get("environment")
    return not isinstance(environment, dict) or environment.get("type") == "local"


def _of(key: str, *names: str) -> Callable[[Json, str], Json]:
    """The arguments are what stands in one object of the item; `names`: of these fields, else all that have a value."""

    def arguments(item: Json, at: str) -> Json:
        given = as_object(item.get(key), f"{at}.{key}")
        return {
            name: value
            for name, value in given.items()
            if value is not None and (not names or name in names)
        }

    return arguments


def _texts(value: Any) -> list[str]:
    """A list of strings, whatever the model made of it."""
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _numbers(arguments: Json, *names: str) -> Json:
    """Of these those that are sensible. Nothing stands for the others: some clients refuse a null."""
    given = {name: arguments.get(name) for name in names}
    return {
        name: int(value)
        for name, value in given.items()
        if isinstance(value, int | float) and 0 < value < _LARGEST
    }


CLIENT_TOOLS = {
    "local_shell": ClientTool(
        "local_shell_call",
        lambda tool: _LOCAL_SHELL,
        _local_shell_fields,
        _of("action", *_LOCAL_SHELL["parameters"]["properties"]),
    ),
    "shell": ClientTool(
        "shell_call", lambda tool: _SHELL, _shell_fields, _of("action"), runs=_has_no_container
    ),
    "apply_patch": ClientTool(
        "apply_patch_call", lambda tool: _APPLY_PATCH, _apply_patch_fields, _of("operation")
    ),
    "tool_search": ClientTool(
        "tool_search_call",
        _tool_search_function,
        lambda arguments: {"execution": "client", "arguments": arguments},
        _of("arguments"),
        runs=lambda tool: tool.get("execution") == "client",
    ),
}
NAME_OF_CALL = {tool.item: name for name, tool in CLIENT_TOOLS.items()}
"""Type of the item that holds a call -> the tool."""


def result_text(item: Json) -> str:
    """What a client reports of such a call, whatever the tool: a text, or data as JSON."""
    if item.get("type") == "tool_search_output":
        found = item.get("tools")
        tools = found if isinstance(found, list) else []
        return codec.encode({"tools_found": _names_of(tools)}).decode()
    output = item.get("output")
    if output is None:
        return as_written(item.get("status"))
    return output if isinstance(output, str) else codec.encode(output).decode()


def _names_of(tools: list[Any]) -> list[str]:
    """Their definitions are offered from now on; the result only has to say which."""
    names: list[str] = []
    for tool in tools:
        if isinstance(tool, dict):
            inner = tool.get("tools")
            names += _names_of(inner) if isinstance(inner, list) else [as_written(tool.get("name"))]
    return names
