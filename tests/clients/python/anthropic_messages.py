"""`anthropic`, Messages."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import anthropic

from tests.clients.python.driving import Json, Reply, answer, call, drive, usage

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "calls",
    "refusal": "filter",
}


@lru_cache
def _client(base_url: str, key: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)


class Messages:
    def __init__(self, question: Json) -> None:
        self.question = question
        self.history: list[Any] = []
        self.messages = _client(question["base_url"], question["key"]).messages

    def say(self, prompt: str, image: Json | None) -> None:
        content: Any = prompt
        if image:
            source = {"type": "base64", "media_type": image["mime"], "data": image["data"]}
            content = [{"type": "image", "source": source}, {"type": "text", "text": prompt}]
        self.history.append({"role": "user", "content": content})

    def give(self, results: list[tuple[Json, Json]]) -> None:
        blocks = [
            {"type": "tool_result", "tool_use_id": called["id"], "content": json.dumps(result)}
            for called, result in results
        ]
        self.history.append({"role": "user", "content": blocks})

    def hear(self) -> Json:
        if self.question.get("stream"):
            return self._streamed()
        ask = self.messages.parse if "schema" in self.question else self.messages.create
        return self._seen(ask(**self._asked()))

    def _asked(self) -> Json:
        asked: Json = {"model": self.question["model"], "messages": self.history}
        asked["max_tokens"] = 8192
        if "system" in self.question:
            asked["system"] = self.question["system"]
        if tools := self.question.get("tools"):
            asked["tools"] = [
                {
                    "name": tool["name"],
                    "description": tool["description"],
                    "input_schema": tool["parameters"],
                }
                for tool in tools
            ]
        if "schema" in self.question:
            asked["output_format"] = Reply
        if "effort" in self.question:
            asked["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        if "temperature" in self.question:
            # The API has it, the SDK shows it no more.
            asked["extra_body"] = {"temperature": self.question["temperature"]}
        return asked

    def _streamed(self) -> Json:
        pieces: list[str] = []
        leave_after = self.question.get("leave_after")
        with self.messages.stream(**self._asked()) as stream:
            for text in stream.text_stream:
                pieces.append(text)
                if len(pieces) == leave_after:
                    return answer(text="".join(pieces), pieces=pieces)
            return self._seen(stream.get_final_message()) | {"pieces": pieces}

    def _seen(self, message: Any) -> Json:
        self.history.append({"role": "assistant", "content": message.content})
        return seen(message)


def seen(message: Any) -> Json:
    blocks, used = message.content, message.usage
    parsed = getattr(message, "parsed_output", None)
    cached = used.cache_read_input_tokens or 0
    return answer(
        text="".join(block.text for block in blocks if block.type == "text"),
        thoughts="".join(block.thinking for block in blocks if block.type == "thinking"),
        calls=[
            call(block.id, block.name, block.input) for block in blocks if block.type == "tool_use"
        ],
        finish=FINISH[message.stop_reason],
        usage=usage(used.input_tokens + cached, used.output_tokens, cached, None),
        parsed=parsed and parsed.model_dump(),
    )


if __name__ == "__main__":
    drive("anthropic", Messages, anthropic.AnthropicError)
