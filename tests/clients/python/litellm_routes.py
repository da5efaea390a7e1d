"""`litellm` as a client: its routes to three vendors, one shape of answers."""

from __future__ import annotations

import json
from typing import Any

import litellm
from openai import OpenAIError

from tests.clients.python.awaiting import awaited
from tests.clients.python.driving import Json, answer, drive
from tests.clients.python.openai_chat import Chat

# What its documentation wants as api_base of each.
PATHS = {"openai": "/v1", "anthropic": "", "gemini": "/v1beta"}


class Completion(Chat):
    """Its history is OpenAI's, whatever the route."""

    def hear(self) -> Json:
        if self.question.get("stream"):
            return self._streamed()
        seen = self._seen(litellm.completion(**self._asked()))
        if "schema" in self.question:
            seen["parsed"] = json.loads(seen["text"])
        return seen

    def _asked(self) -> Json:
        question = self.question
        asked = super()._asked()
        asked |= {
            "model": f"{question['dialect']}/{question['model']}",
            "api_base": question["base_url"] + PATHS[question["dialect"]],
            "api_key": question["key"],
            "num_retries": 0,
            "max_retries": 0,
        }
        if "effort" in question and question["dialect"] == "anthropic":
            # Of a model whose name it does not know it believes nothing else.
            del asked["reasoning_effort"]
            asked["thinking"] = {"type": "enabled", "budget_tokens": 2048}
            asked["allowed_openai_params"] = ["thinking"]
        return asked

    def _streamed(self) -> Json:
        asked = self._asked() | {"stream": True, "stream_options": {"include_usage": True}}
        if leave_after := self.question.get("leave_after"):
            return awaited(self._left(asked, leave_after))
        chunks = list(litellm.completion(**asked))
        pieces = [text for chunk in chunks if (text := _text_of(chunk))]
        whole = litellm.stream_chunk_builder(chunks, messages=self.messages)
        return self._seen(whole) | {"pieces": pieces}

    async def _left(self, asked: Json, leave_after: int) -> Json:
        """Only its asynchronous streams can be closed."""
        pieces: list[str] = []
        stream = await litellm.acompletion(**asked)
        async for chunk in stream:
            if text := _text_of(chunk):
                pieces.append(text)
            if len(pieces) == leave_after:
                break
        await stream.aclose()
        return answer(text="".join(pieces), pieces=pieces)


def _text_of(chunk: Any) -> str:
    return (chunk.choices and chunk.choices[0].delta.content) or ""


if __name__ == "__main__":
    drive("litellm", Completion, OpenAIError)
