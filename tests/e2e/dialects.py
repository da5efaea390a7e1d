"""The two client surfaces as plain HTTP: what is sent, and what an answer, a stream and an error look like."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

Json = dict[str, Any]

MODEL = "gemini-2.5-flash"


class OpenAIChat:
    name = "openai"

    def path(self, model: str = MODEL, *, stream: bool = False) -> str:
        return "/v1/chat/completions"

    def body(
        self, text: str = "hello", *, model: str = MODEL, stream: bool = False, **more: Any
    ) -> Json:
        return {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            **({"stream": True} if stream else {}),
            **more,
        }

    def headers(self, key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"}

    def text(self, answer: Json) -> str:
        return answer["choices"][0]["message"]["content"]

    def stream_text(self, events: list[Any]) -> str:
        return "".join(
            choice["delta"].get("content") or ""
            for event in events
            if event != "[DONE]"
            for choice in event.get("choices", [])
        )

    def finish_reasons(self, events: list[Any]) -> list[str]:
        found = [
            choice.get("finish_reason")
            for event in events
            if event != "[DONE]"
            for choice in event.get("choices", [])
        ]
        return [reason for reason in found if reason]

    def check_error(self, body: Json, status: int) -> Json:
        """The error object, after a look at its shape."""
        assert body.keys() == {"error"}
        assert body["error"].keys() == {"message", "type", "param", "code"}
        return body["error"]


class Gemini:
    name = "gemini"

    def path(self, model: str = MODEL, *, stream: bool = False) -> str:
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{model}:{method}"

    def body(
        self, text: str = "hello", *, model: str = MODEL, stream: bool = False, **more: Any
    ) -> Json:
        return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}

    def headers(self, key: str) -> dict[str, str]:
        return {"x-goog-api-key": key}

    def text(self, answer: Json) -> str:
        return "".join(part["text"] for part in answer["candidates"][0]["content"]["parts"])

    def stream_text(self, events: list[Any]) -> str:
        return "".join(
            part.get("text", "")
            for event in events
            for candidate in event.get("candidates", [])
            for part in candidate.get("content", {}).get("parts", [])
        )

    def finish_reasons(self, events: list[Any]) -> list[str]:
        found = [
            candidate.get("finishReason")
            for event in events
            for candidate in event.get("candidates", [])
        ]
        return [reason for reason in found if reason]

    def check_error(self, body: Json, status: int) -> Json:
        assert body.keys() == {"error"}
        error = body["error"]
        assert error["code"] == status
        assert isinstance(error["status"], str)
        assert error["status"].isupper()
        return error


OPENAI, GEMINI = OpenAIChat(), Gemini()
Dialect = OpenAIChat | Gemini

both_dialects = pytest.mark.parametrize("dialect", [OPENAI, GEMINI], ids=lambda one: one.name)
both_upstreams = pytest.mark.parametrize("provider", ["gemini_api", "code_assist"])
only_sqlite = pytest.mark.parametrize("gateway", ["sqlite"], indirect=True)
only_postgres = pytest.mark.parametrize("gateway", ["postgres"], indirect=True)


def ask(client, dialect: Dialect, key: str, text: str = "hello", **options: Any):
    """One call; the whole answer, streamed or not. `model` and `stream` go to the path as well."""
    shape = {name: options[name] for name in ("model", "stream") if name in options}
    return client.post(
        dialect.path(**shape), json=dialect.body(text, **options), headers=dialect.headers(key)
    )


def ask_at_once(url: str, dialect: Dialect, key: str, count: int, **options: Any):
    """That many calls in parallel, each on a connection of its own; the answers in any order."""

    async def calls():
        limits = httpx.Limits(max_connections=count, max_keepalive_connections=0)
        async with httpx.AsyncClient(
            base_url=url, limits=limits, timeout=60, trust_env=False, verify=False
        ) as client:
            return await asyncio.gather(
                *(ask(client, dialect, key, **options) for _ in range(count))
            )

    return asyncio.run(calls())


def events_of(text: str) -> list[Any]:
    """The events of a stream, "[DONE]" as it is; comments are left out. Gemini's errors stand there bare."""
    found: list[Any] = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        if block.startswith("{"):
            found.append(json.loads(block))
        lines = [line[5:].strip() for line in block.split("\n") if line.startswith("data:")]
        if lines:
            data = "\n".join(lines)
            found.append(data if data == "[DONE]" else json.loads(data))
    return found


def error_of(response, dialect: Dialect, status: int) -> Json:
    """The error object of a refused call: status, the dialect's shape, and the request id where people look for it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/json")
    error = dialect.check_error(response.json(), status)
    request_id = response.headers["x-request-id"]
    assert request_id.startswith("req_")
    assert request_id in error["message"]
    return error
