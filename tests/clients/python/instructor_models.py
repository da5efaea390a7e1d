"""`instructor` over three vendors' SDKs: whatever is asked, an object is the answer."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import anthropic
import instructor
import openai
from google import genai
from google.genai import types
from google.genai.errors import APIError
from instructor import Mode
from instructor.core.exceptions import InstructorError

from tests.clients.python import anthropic_messages, google_genai, openai_chat
from tests.clients.python.awaiting import awaited, let_go
from tests.clients.python.driving import Json, Reply, answer, data_url, drive

SEEN = {
    "chat": openai_chat.seen,
    "anthropic": anthropic_messages.seen,
    "gemini": lambda response: google_genai.seen([response]),
}


@lru_cache
def _client(dialect: str, base_url: str, key: str) -> instructor.Instructor:
    if dialect == "anthropic":
        claude = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)
        return instructor.from_anthropic(claude)
    if dialect == "gemini":
        return instructor.from_genai(_google(base_url, key))
    client = openai.OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0)
    return instructor.from_openai(client)


@lru_cache
def _streaming_client(dialect: str, base_url: str, key: str) -> instructor.AsyncInstructor:
    """JSON, as a call of Google's comes in one piece; asynchronous, as the other kind hands back whole streams."""
    if dialect == "anthropic":
        claude = anthropic.AsyncAnthropic(base_url=base_url, api_key=key, max_retries=0)
        return instructor.from_anthropic(claude, mode=Mode.JSON)
    if dialect == "gemini":
        return instructor.from_genai(_google(base_url, key), mode=Mode.JSON, use_async=True)
    client = openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0)
    return instructor.from_openai(client, mode=Mode.JSON)


def _google(base_url: str, key: str) -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base_url))


class Extraction:
    def __init__(self, question: Json) -> None:
        self.question = question
        self.place = (question["dialect"], question["base_url"], question["key"])
        self.messages: list[Any] = []
        if "system" in question:
            self.messages.append({"role": "system", "content": question["system"]})

    def say(self, prompt: str, image: Json | None) -> None:
        shown = [instructor.Image.from_base64(data_url(image))] if image else []
        self.messages.append({"role": "user", "content": [prompt, *shown] if shown else prompt})

    def give(self, results: list[tuple[Json, Json]]) -> None:
        raise NotImplementedError("its calls are objects, and nobody answers an object")

    def hear(self) -> Json:
        if self.question.get("stream"):
            return awaited(self._streamed())
        client = _client(*self.place)
        reply, raw = client.create_with_completion(response_model=Reply, **self._asked())
        role = "model" if self.question["dialect"] == "gemini" else "assistant"
        self.messages.append({"role": role, "content": reply.answer})
        return SEEN[self.question["dialect"]](raw) | {"parsed": reply.model_dump()}

    def _asked(self) -> Json:
        # One attempt is none for a library that counts the first.
        asked = {"model": self.question["model"], "messages": self.messages, "max_retries": 1}
        if "temperature" in self.question:
            asked["temperature"] = self.question["temperature"]
        if self.question["dialect"] == "anthropic":
            asked["max_tokens"] = 8192
        return asked

    async def _streamed(self) -> Json:
        """`pieces`: the answer as far as it was known, each time the object grew."""
        pieces: list[str] = []
        partial = None
        client = _streaming_client(*self.place)
        stream = client.create_partial(response_model=Reply, **self._asked())
        async for partial in stream:
            pieces.append(partial.answer or "")
            if len(pieces) == self.question.get("leave_after"):
                break
        await stream.aclose()
        await let_go()
        return answer(text=pieces[-1], pieces=pieces, parsed=partial and partial.model_dump())


if __name__ == "__main__":
    drive("instructor", Extraction, InstructorError, APIError)
