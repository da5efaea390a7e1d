"""`openai`, Chat Completions."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import openai

from tests.clients.python.driving import Json, Reply, answer, call, data_url, drive, usage

FINISH = {"stop": "stop", "length": "length", "tool_calls": "calls", "content_filter": "filter"}


@lru_cache
def client_of(base_url: str, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0)


class Chat:
    def __init__(self, question: Json) -> None:
        self.question = question
        self.messages: list[Any] = []
        if "system" in question:
            self.messages.append({"role": "system", "content": question["system"]})

    def say(self, prompt: str, image: Json | None) -> None:
        content: Any = prompt
        if image:
            shown = {"type": "image_url", "image_url": {"url": data_url(image)}}
            content = [{"type": "text", "text": prompt}, shown]
        self.messages.append({"role": "user", "content": content})

    def give(self, results: list[tuple[Json, Json]]) -> None:
        for called, result in results:
            content = json.dumps(result)
            self.messages.append({"role": "tool", "tool_call_id": called["id"], "content": content})

    def hear(self) -> Json:
        if self.question.get("stream"):
            return self._streamed()
        completions = self._completions()
        create = completions.parse if "schema" in self.question else completions.create
        return self._seen(create(**self._asked()))

    def _completions(self) -> Any:
        return client_of(self.question["base_url"], self.question["key"]).chat.completions

    def _asked(self) -> Json:
        asked: Json = {"model": self.question["model"], "messages": self.messages}
        if tools := self.question.get("tools"):
            asked["tools"] = [{"type": "function", "function": tool} for tool in tools]
        if "schema" in self.question:
            asked["response_format"] = Reply
        if "effort" in self.question:
            asked["reasoning_effort"] = self.question["effort"]
        if "temperature" in self.question:
            asked["temperature"] = self.question["temperature"]
        return asked

    def _streamed(self) -> Json:
        pieces: list[str] = []
        leave_after = self.question.get("leave_after")
        options = {"stream_options": {"include_usage": True}}
        with self._completions().stream(**self._asked(), **options) as stream:
            for event in stream:
                if event.type == "content.delta":
                    pieces.append(event.delta)
                if len(pieces) == leave_after:
                    return answer(text="".join(pieces), pieces=pieces)
            return self._seen(stream.get_final_completion()) | {"pieces": pieces}

    def _seen(self, completion: Any) -> Json:
        self.messages.append(completion.choices[0].message)
        return seen(completion)


def seen(completion: Any) -> Json:
    [choice] = completion.choices
    message, used = choice.message, completion.usage
    parsed = getattr(message, "parsed", None)
    return answer(
        text=message.content or "",
        thoughts=getattr(message, "reasoning_content", None) or "",
        calls=[
            call(one.id, one.function.name, one.function.arguments)
            for one in message.tool_calls or []
        ],
        finish=FINISH[choice.finish_reason],
        usage=usage(
            used.prompt_tokens,
            used.completion_tokens,
            used.prompt_tokens_details and used.prompt_tokens_details.cached_tokens,
            used.completion_tokens_details and used.completion_tokens_details.reasoning_tokens,
        ),
        parsed=parsed and parsed.model_dump(),
    )


if __name__ == "__main__":
    drive("openai", Chat, openai.OpenAIError)
