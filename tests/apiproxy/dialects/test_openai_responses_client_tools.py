"""What a model makes of the tools that clients run themselves, however odd."""

import pytest

from apiproxy.dialects.openai_responses_client_tools import CLIENT_TOOLS, result_text


@pytest.mark.parametrize(
    ("tool", "arguments", "fields"),
    [
        (
            "local_shell",
            {"command": "ls", "timeout_ms": -1, "working_directory": "/tmp"},
            {
                "action": {
                    "type": "exec",
                    "command": ["ls"],
                    "env": {},
                    "working_directory": "/tmp",
                }
            },
        ),
        (
            "shell",
            {"commands": ["ls", 7], "timeout_ms": 10.0},
            {"action": {"commands": ["ls"], "timeout_ms": 10}},
        ),
        ("shell", {"timeout_ms": "x"}, {"action": {"commands": []}}),
        (
            "apply_patch",
            {"type": "rename", "path": "a", "diff": "+b"},
            {"operation": {"type": "update_file", "path": "a", "diff": "+b"}},
        ),
        (
            "apply_patch",
            {"type": "delete_file", "path": "a", "diff": "+b"},
            {"operation": {"type": "delete_file", "path": "a"}},
        ),
        ("tool_search", {"query": "q"}, {"execution": "client", "arguments": {"query": "q"}}),
    ],
)
def test_arguments_become_the_items_fields(tool, arguments, fields):
    assert CLIENT_TOOLS[tool].fields(arguments) == fields


def test_a_search_that_openai_would_run_is_not_the_clients():
    assert not CLIENT_TOOLS["tool_search"].runs({"type": "tool_search"})
    assert CLIENT_TOOLS["tool_search"].runs({"type": "tool_search", "execution": "client"})


@pytest.mark.parametrize(
    ("environment", "is_the_clients"),
    [(None, True), ({"type": "local"}, True), ({"type": "container_auto"}, False)],
)
def test_a_shell_in_a_container_is_not_the_clients(environment, is_the_clients):
    tool = {"type": "shell", "environment": environment}
    assert CLIENT_TOOLS["shell"].runs(tool) is is_the_clients


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"type": "local_shell_call_output", "output": "done"}, "done"),
        ({"type": "shell_call_output", "output": [{"stdout": "a"}]}, '[{"stdout":"a"}]'),
        (
            {"type": "apply_patch_call_output", "status": "failed", "output": "no such file"},
            "no such file",
        ),
        ({"type": "apply_patch_call_output", "status": "completed"}, "completed"),
        (
            {
                "type": "tool_search_output",
                "tools": [
                    {"type": "function", "name": "a"},
                    {
                        "type": "namespace",
                        "name": "n",
                        "tools": [{"type": "function", "name": "b"}],
                    },
                    7,
                ],
            },
            '{"tools_found":["a","b"]}',
        ),
        ({"type": "tool_search_output", "tools": None}, '{"tools_found":[]}'),
    ],
)
def test_results_become_text(item, text):
    assert result_text(item) == text
