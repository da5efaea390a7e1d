"""`openai`, Responses."""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.clients.python.driving import Json, Reply, answer, call, data_url, drive, usage
from tests.clients.python.openai_chat import client_of

INCOMPLETE = {"max_output_tokens": "length", "content_filter": "filter"}


class Responses:
    def __init__(self, question: Json) -> None:
        self.question = question
        self.input: list[Any] = []
        self.responses = client_of(question["base_url"], question["key"]).responses

    def say(self, prompt: str, image: Json | None) -> None:
        content: Any = prompt
        if image:
            shown = {"type": "input_image", "image_url": data_url(image)}
            content = [{"type": "input_text", "text": prompt}, shown]
        self.input.append({"role": "user", "content": content})

    def give(self, results: list[tuple[Json, Json]]) -> None:
        for called, result in results:
            output = {"type": "function_call_output", "call_id": called["id"]}
            self.input.append({**output, "output": json.dumps(result)})

    def hear(self) -> Json:
        if self.question.get("stream"):
            return self._streamed()
        ask = self.responses.parse if "schema" in self.question else self.responses.create
        return self._seen(ask(**self._asked()))

    def _asked(self) -> Json:
        asked: Json = {"model": self.question["model"], "input": self.input, "store": False}
        asked["include"] = ["reasoning.encrypted_content"]
        if "system" in self.question:
            asked["instructions"] = self.question["system"]
        if tools := self.question.get("tools"):
            asked["tools"] = [{"type": "function", "strict": True, **tool} for tool in tools]
        if "schema" in self.question:
            asked["text_format"] = Reply
        if "effort" in self.question:
            asked["reasoning"] = {"effort": self.question["effort"], "summary": "auto"}
        if "temperature" in self.question:
            asked["temperature"] = self.question["temperature"]
        return asked

    def _streamed(self) -> Json:
        pieces: list[str] = []
        leave_after = self.question.get("leave_after")
        with self.responses.stream(**self._asked()) as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    pieces.append(event.delta)
                if len(pieces) == leave_after:
                    return answer(text="".join(pieces), pieces=pieces)
            return self._seen(stream.get_final_response()) | {"pieces": pieces}

    def _seen(self, response: Any) -> Json:
        self.input += response.output
        called = [item for item in response.output if item.type == "function_call"]
        thoughts = [item for item in response.output if item.type == "reasoning"]
        parsed = getattr(response, "output_parsed", None)
        used = response.usage
        return answer(
            text=response.output_text,
            thoughts="".join(part.text for item in thoughts for part in item.summary),
            calls=[call(item.call_id, item.name, item.arguments) for item in called],
            finish=self._finish(response, called),
            usage=usage(
                used.input_tokens,
                used.output_tokens,
                used.input_tokens_details.cached_tokens,
                used.output_tokens_details.reasoning_tokens,
            ),
            parsed=parsed and parsed.model_dump(),
        )

    def _finish(self, response: Any, called: list[Any]) -> str | None:
        if response.status == "completed":
            return "calls" if called else "stop"
        return INCOMPLETE.get(response.incomplete_details and response.incomplete_details.reason)


if __name__ == "__main__":
    drive("openai", Responses, openai.OpenAIError)
