"""The Python rows of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.clients.cases import ERRORS
from tests.clients.harness import Client
from tests.clients.python import objects
from tests.e2e.processes import ROOT

# The clients that fit beside nothing newer live in an environment of their own.
SECOND_ENVIRONMENT = str(Path(ROOT, ".venv-clients", "bin", "python"))


def _driver(name: str) -> tuple[str, ...]:
    """A module of this folder, and what follows it on the command line."""
    return ("-m", *f"tests.clients.python.{name}".split())


def _vendor(package: str, overload: str = "InternalServerError") -> dict[str, str]:
    """The classes are alike in the SDKs that one generator wrote."""
    return {
        "bad_key": f"{package}.AuthenticationError",
        "unknown_model": f"{package}.NotFoundError",
        "bad_request": f"{package}.BadRequestError",
        "quota": f"{package}.RateLimitError",
        "overload": f"{package}.{overload}",
    }


GOOGLE = {
    "bad_key": "google.genai.errors.ClientError",
    "unknown_model": "google.genai.errors.ClientError",
    "bad_request": "google.genai.errors.ClientError",
    "quota": "google.genai.errors.ClientError",
    "overload": "google.genai.errors.ServerError",
}

LANGCHAIN_OPENAI = {
    case: f"langchain_openai.chat_models.base.{name}"
    for case, name in {
        "bad_key": "OpenAIAuthenticationError",
        "unknown_model": "OpenAIModelNotFoundError",
        "bad_request": "OpenAIInvalidRequestError",
        "quota": "OpenAIRateLimitError",
        "overload": "OpenAIAPIError",
    }.items()
}
LANGCHAIN_GOOGLE = {
    case: f"langchain_google_genai.chat_models.{name}"
    for case, name in {
        "bad_key": "GoogleAuthenticationError",
        "unknown_model": "GoogleModelNotFoundError",
        "bad_request": "GoogleInvalidRequestError",
        "quota": "GoogleRateLimitError",
        "overload": "GoogleAPIError",
    }.items()
}
LITELLM = _vendor("litellm.exceptions", "ServiceUnavailableError")
# It takes the words about an overload, not the status, and calls it a 500.
LITELLM_500 = _vendor("litellm.exceptions", "InternalServerError")
PYDANTIC_AI = dict.fromkeys(ERRORS, "pydantic_ai.exceptions.ModelHTTPError")
AGENT = {"structured_by": "final_result"}
INSTRUCTOR = dict.fromkeys(ERRORS, "instructor.v2.core.errors.InstructorRetryException")
OBJECTS = {
    "cases": objects.CASES,
    "lacks": dict.fromkeys(
        ("tool", "round_trip", "parallel", "streamed_tools"),
        "a call is how it gets its objects: see structured",
    )
    | {
        "reasoning": "it has no way to ask for it",
    },
}


def _second(name: str, driver: str, errors: dict[str, str], dialect: str, **more: Any) -> Client:
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return Client(
        name,
        _driver(driver),
        errors,
        program=SECOND_ENVIRONMENT,
        details={"dialect": dialect},
        env=env,
        **more,
    )


CLIENTS = [
    Client("openai chat", _driver("openai_chat"), _vendor("openai")),
    Client("openai responses", _driver("openai_responses"), _vendor("openai")),
    Client(
        "anthropic",
        _driver("anthropic_messages"),
        _vendor("anthropic", "OverloadedError"),
        overload_status=529,
        hides=frozenset({"thinking"}),
    ),
    Client("google-genai", _driver("google_genai"), GOOGLE),
    _second(
        "langchain-openai chat",
        "langchain langchain-openai",
        LANGCHAIN_OPENAI,
        "chat",
        lacks={"reasoning": "it drops the reasoning of Chat Completions"},
    ),
    _second(
        "langchain-openai responses", "langchain langchain-openai", LANGCHAIN_OPENAI, "responses"
    ),
    _second(
        "langchain-google-genai", "langchain langchain-google-genai", LANGCHAIN_GOOGLE, "gemini"
    ),
    _second("litellm openai", "litellm_routes", LITELLM, "openai"),
    _second("litellm anthropic", "litellm_routes", LITELLM_500, "anthropic", overload_status=500),
    _second(
        "litellm gemini",
        "litellm_routes",
        LITELLM_500 | {"streamed overload": "litellm.exceptions.MidStreamFallbackError"},
        "gemini",
        overload_status=500,
    ),
    _second("pydantic-ai chat", "pydantic_ai_models", PYDANTIC_AI, "chat", **AGENT),
    _second("pydantic-ai responses", "pydantic_ai_models", PYDANTIC_AI, "responses", **AGENT),
    _second(
        "pydantic-ai anthropic",
        "pydantic_ai_models",
        PYDANTIC_AI,
        "anthropic",
        overload_status=529,
        hides=frozenset({"thinking"}),
        **AGENT,
    ),
    _second("pydantic-ai google", "pydantic_ai_models", PYDANTIC_AI, "gemini", **AGENT),
    _second("instructor openai", "instructor_models", INSTRUCTOR, "chat", **OBJECTS),
    _second(
        "instructor anthropic",
        "instructor_models",
        INSTRUCTOR,
        "anthropic",
        overload_status=529,
        hides=frozenset({"thinking"}),
        **OBJECTS,
    ),
    _second(
        "instructor google",
        "instructor_models",
        INSTRUCTOR | {"streamed overload": "google.genai.errors.ServerError"},
        "gemini",
        **OBJECTS,
    ),
]
