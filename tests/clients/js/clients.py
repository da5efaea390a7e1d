"""The JavaScript rows of the table."""

from __future__ import annotations

from tests.clients.harness import Client
from tests.e2e.processes import ROOT

FOLDER = ROOT / "tests" / "clients" / "js"
NODE = str(ROOT / ".venv" / "bin" / "node")


def _client(name: str, *command: str, errors: dict[str, str], **facts) -> Client:
    driver, *arguments = command
    return Client(name, (str(FOLDER / driver), *arguments), errors, program=NODE, **facts)


def _vendor(package: str, **others: str) -> dict[str, str]:
    """The classes of the SDKs that one generator wrote."""
    names = {
        "bad_key": "AuthenticationError",
        "unknown_model": "NotFoundError",
        "bad_request": "BadRequestError",
        "quota": "RateLimitError",
        "overload": "InternalServerError",
    }
    return {case: f"{package}.{name}" for case, name in (names | others).items()}


def _one(name: str) -> dict[str, str]:
    """A client with a single class, which carries the status."""
    return dict.fromkeys(_vendor(""), name)


CLIENTS = [
    _client("openai (JS) chat", "openai_chat.js", errors=_vendor("openai")),
    _client("openai (JS) responses", "openai_responses.js", errors=_vendor("openai")),
    _client(
        "@anthropic-ai/sdk",
        "anthropic.js",
        errors=_vendor("anthropic", overload="OverloadedError"),
        overload_status=529,
    ),
    _client("@google/genai", "genai.js", errors=_one("genai.ApiError")),
    _client(
        "ai @ai-sdk/openai chat",
        "ai.js",
        "openai-chat",
        errors=_one("ai.APICallError"),
        lacks={"reasoning": "its chat provider reads no reasoning text"},
    ),
    _client(
        "ai @ai-sdk/openai responses", "ai.js", "openai-responses", errors=_one("ai.APICallError")
    ),
    _client(
        "ai @ai-sdk/anthropic",
        "ai.js",
        "anthropic",
        errors=_one("ai.APICallError"),
        overload_status=529,
        lacks={"bad_request": "it brings a temperature into Anthropic's range itself"},
    ),
    _client(
        "ai @ai-sdk/google",
        "ai.js",
        "google",
        errors=_one("ai.APICallError"),
        wraps=lambda name, result: {"name": name, "content": result},
    ),
]
