"""`google-genai`."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

from google import genai
from google.genai import errors, types

from tests.clients.python.driving import Json, Reply, answer, call, drive, usage

FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "filter",
    "PROHIBITED_CONTENT": "filter",
}


@lru_cache
def _client(base_url: str, key: str) -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base_url))


class Chat:
    """The SDK's own chat keeps the history."""

    def __init__(self, question: Json) -> None:
        self.question = question
        client = _client(question["base_url"], question["key"])
        self.chat = client.chats.create(model=question["model"], config=self._config())
        self.message: list[types.Part] = []

    def say(self, prompt: str, image: Json | None) -> None:
        self.message = [types.Part.from_text(text=prompt)]
        if image:
            data = base64.b64decode(image["data"])
            self.message.append(types.Part.from_bytes(data=data, mime_type=image["mime"]))

    def give(self, results: list[tuple[Json, Json]]) -> None:
        self.message = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=called["id"], name=called["name"], response=result
                )
            )
            for called, result in results
        ]

    def hear(self) -> Json:
        if not self.question.get("stream"):
            response = self.chat.send_message(self.message)
            return seen([response]) | {"parsed": _parsed(response)}
        chunks: list[types.GenerateContentResponse] = []
        stream = self.chat.send_message_stream(self.message)
        for chunk in stream:
            chunks.append(chunk)
            if len(chunks) == self.question.get("leave_after"):
                stream.close()
                return answer(text="".join(one.text or "" for one in chunks))
        return seen(chunks)

    def _config(self) -> types.GenerateContentConfig:
        config = types.GenerateContentConfig(
            system_instruction=self.question.get("system"),
            temperature=self.question.get("temperature"),
        )
        if tools := self.question.get("tools"):
            declared = [
                types.FunctionDeclaration(
                    name=tool["name"],
                    description=tool["description"],
                    parameters_json_schema=tool["parameters"],
                )
                for tool in tools
            ]
            config.tools = [types.Tool(function_declarations=declared)]
        if "schema" in self.question:
            config.response_mime_type = "application/json"
            config.response_schema = Reply
        if "effort" in self.question:
            config.thinking_config = types.ThinkingConfig(
                include_thoughts=True, thinking_budget=2048
            )
        return config


def seen(chunks: list[Any]) -> Json:
    contents = [chunk.candidates[0].content for chunk in chunks]
    parts = [part for content in contents for part in content.parts or []]
    called = [part.function_call for part in parts if part.function_call]
    pieces = [part.text for part in parts if part.text and not part.thought]
    used = chunks[-1].usage_metadata
    thinking = used.thoughts_token_count or 0
    finish = FINISH[chunks[-1].candidates[0].finish_reason.name]
    return answer(
        text="".join(pieces),
        thoughts="".join(part.text for part in parts if part.thought),
        calls=[call(one.id, one.name, one.args) for one in called],
        finish="calls" if called and finish == "stop" else finish,
        usage=usage(
            used.prompt_token_count,
            (used.candidates_token_count or 0) + thinking,
            used.cached_content_token_count or 0,
            thinking,
        ),
        pieces=pieces,
    )


def _parsed(response: types.GenerateContentResponse) -> Json | None:
    return response.parsed.model_dump() if isinstance(response.parsed, Reply) else None


if __name__ == "__main__":
    drive("google-genai", Chat, errors.APIError)
