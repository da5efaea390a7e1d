"""The coding agents: how each is told of the gateway, and how its tools are called."""

from __future__ import annotations

import json
from typing import Any

from tests.clients.agents.running import Agent, Json


def _gemini_answer(said: str) -> str:
    return json.loads(said)["response"]


def _claude_answer(said: str) -> str:
    return json.loads(said)["result"]


def _codex_answer(said: str) -> str:
    events = [json.loads(line) for line in said.splitlines()]
    # These tell of attempts before the one that went well.
    assert [event for event in events if event["type"] == "error"] == []
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    return next(item["text"] for item in reversed(items) if item["type"] == "agent_message")


_GEMINI_FLAGS = ("--yolo", "--output-format", "json")
_GEMINI_READS = {"name": "read_file", "args": {"file_path": "{path}"}}
_GEMINI_SETTINGS = json.dumps(
    {
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False},
    }
)
_CLAUDE_FLAGS = ("--output-format", "json", "--allowedTools=Read,WebSearch")
_CLAUDE_READS = {"name": "Read", "args": {"file_path": "{path}"}}
_CODEX_DROPPED = ("client_metadata", "prompt_cache_key", "only its tools are described")
_CODEX_FLAGS = ("--skip-git-repo-check", "--json")
_CODEX_CONFIG = """\
check_for_update_on_startup = false
sandbox_mode = "danger-full-access"
approval_policy = "never"
{provider}

[analytics]
enabled = false

[features]
plugins = false
apps = false
"""
_CODEX_OWN_PROVIDER = 'openai_base_url = "{url}/v1"'
_CODEX_OTHER_PROVIDER = """\
model = "gemini-3-flash-preview"
model_provider = "wellspring"

[model_providers.wellspring]
name = "Wellspring"
base_url = "{url}/v1"
env_key = "WELLSPRING_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""


def _codex(name: str, provider: str, model: str, call: Json, look: Json, **facts: Any) -> Agent:
    return Agent(
        name=name,
        package="@openai/codex",
        script="bin/codex.js",
        arguments=("exec", *_CODEX_FLAGS, "{task}"),
        again=("exec", "resume", "--last", *_CODEX_FLAGS, "{task}"),
        model=model,
        call=call,
        look=look,
        answer=_codex_answer,
        env={"CODEX_HOME": "{home}/.codex", "WELLSPRING_KEY": "{key}"},
        files={
            ".codex/config.toml": _CODEX_CONFIG.replace("{provider}", provider),
            ".codex/auth.json": '{"OPENAI_API_KEY": "{key}"}',
        },
        refusal="Quota exceeded.",
        **facts,
    )


AGENTS = [
    # It asks one model which of two others is to do the task.
    Agent(
        name="gemini-cli",
        package="@google/gemini-cli",
        script="bundle/gemini.js",
        arguments=(*_GEMINI_FLAGS, "-p", "{task}"),
        again=(*_GEMINI_FLAGS, "--resume", "latest", "-p", "{task}"),
        model="gemini-3.8-flash",
        call=_GEMINI_READS,
        look=_GEMINI_READS,
        search=({"name": "google_web_search", "args": {"query": "Zurich"}},),
        searching_model="gemini-3-flash-preview",
        answer=_gemini_answer,
        env={"GEMINI_API_KEY": "{key}", "GOOGLE_GEMINI_BASE_URL": "{url}"},
        files={".gemini/settings.json": _GEMINI_SETTINGS},
    ),
    # As it is but for the address. The model of its choice has one tool, of free text.
    _codex(
        "codex",
        _CODEX_OWN_PROVIDER,
        "gemini-3.5-flash",
        {
            "name": "exec",
            "args": {"input": "text(await tools.exec_command({cmd: 'cat {path}'}))"},
        },
        {"name": "exec", "args": {"input": "image(await tools.view_image({path: '{path}'}))"}},
        calls_at_once=1,
        dropped=(
            *_CODEX_DROPPED,
            "text.verbosity",
            "encrypted is not understood",
            "nothing enforces it",
        ),
    ),
    _codex(
        "codex with a model of ours",
        _CODEX_OTHER_PROVIDER,
        "gemini-3-flash-preview",
        {"name": "exec_command", "args": {"cmd": "cat {path}"}},
        {"name": "view_image", "args": {"path": "{path}"}},
        dropped=(*_CODEX_DROPPED, "external_web_access", "does not combine it with functions"),
    ),
    # Its own choice of a model, mapped by an alias.
    Agent(
        name="claude-code",
        package="@anthropic-ai/claude-code",
        script="cli-wrapper.cjs",
        arguments=(*_CLAUDE_FLAGS, "-p", "{task}"),
        again=(*_CLAUDE_FLAGS, "--continue", "-p", "{task}"),
        model="gemini-3.1-pro-preview",
        call=_CLAUDE_READS,
        look=_CLAUDE_READS,
        # The tool is there once the search for tools has named it.
        search=(
            {"name": "ToolSearch", "args": {"query": "select:WebSearch", "max_results": 1}},
            {"name": "WebSearch", "args": {"query": "Zurich"}},
        ),
        searching_model="gemini-3.1-pro-preview",
        answer=_claude_answer,
        env={
            "ANTHROPIC_BASE_URL": "{url}",
            "ANTHROPIC_AUTH_TOKEN": "{key}",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        },
        dropped=("context_management", "metadata"),
    ),
]
