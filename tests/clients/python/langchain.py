"""`langchain-openai` and `langchain-google-genai`: one kind of message, several chat models."""

from __future__ import annotations

import json
import sys
from typing import Any

from google.genai.errors import APIError
from langchain_core.exceptions import LangChainException
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI
from openai import OpenAIError

from tests.clients.python.driving import Json, Reply, answer, call, data_url, drive, usage

FINISH = {
    "stop": "stop",
    "completed": "stop",
    "STOP": "stop",
    "length": "length",
    "MAX_TOKENS": "length",
    "tool_calls": "calls",
    "content_filter": "filter",
}


def _model(question: Json) -> Any:
    asked = {"model": question["model"], "api_key": question["key"], "max_retries": 0}
    if question["dialect"] == "gemini":
        if "effort" in question:
            asked |= {"include_thoughts": True, "thinking_budget": 2048}
        # One attempt is none for a library that counts the first.
        return ChatGoogleGenerativeAI(base_url=question["base_url"], **asked | {"max_retries": 1})
    if question["dialect"] == "responses":
        asked |= {"use_responses_api": True, "store": False}
        asked["include"] = ["reasoning.encrypted_content"]
        if "effort" in question:
            asked["reasoning"] = {"effort": question["effort"], "summary": "auto"}
    elif "effort" in question:
        asked["reasoning_effort"] = question["effort"]
    return ChatOpenAI(base_url=f"{question['base_url']}/v1", stream_usage=True, **asked)


class Chat:
    def __init__(self, question: Json) -> None:
        self.question = question
        self.history: list[Any] = []
        if "system" in question:
            self.history.append(SystemMessage(question["system"]))
        self.model = _model(question)
        if tools := question.get("tools"):
            declared = [{"type": "function", "function": tool} for tool in tools]
            self.model = self.model.bind_tools(declared)
        if "temperature" in question:
            self.model = self.model.bind(temperature=question["temperature"])

    def say(self, prompt: str, image: Json | None) -> None:
        content: Any = prompt
        if image:
            shown = {"type": "image_url", "image_url": {"url": data_url(image)}}
            content = [{"type": "text", "text": prompt}, shown]
        self.history.append(HumanMessage(content))

    def give(self, results: list[tuple[Json, Json]]) -> None:
        self.history += [
            ToolMessage(json.dumps(result), tool_call_id=called["id"]) for called, result in results
        ]

    def hear(self) -> Json:
        if self.question.get("stream"):
            return self._streamed()
        if "schema" in self.question:
            found = self.model.with_structured_output(Reply, include_raw=True).invoke(self.history)
            return self._seen(found["raw"]) | {"parsed": found["parsed"].model_dump()}
        return self._seen(self.model.invoke(self.history))

    def _streamed(self) -> Json:
        whole, pieces = None, []
        chunks = self.model.stream(self.history)
        for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
            if chunk.text:
                pieces.append(chunk.text)
            if len(pieces) == self.question.get("leave_after"):
                chunks.close()
                return answer(text="".join(pieces), pieces=pieces)
        return self._seen(whole) | {"pieces": pieces}

    def _seen(self, message: AIMessage) -> Json:
        self.history.append(message)
        reasoned = [one for one in message.content_blocks if one["type"] == "reasoning"]
        told, used = message.response_metadata, message.usage_metadata
        finish = FINISH[told.get("finish_reason") or told["status"]]
        return answer(
            text=str(message.text),
            thoughts="".join(one.get("reasoning", "") for one in reasoned),
            calls=[call(one["id"], one["name"], one["args"]) for one in message.tool_calls],
            finish="calls" if message.tool_calls and finish == "stop" else finish,
            usage=usage(
                used["input_tokens"],
                used["output_tokens"],
                used.get("input_token_details", {}).get("cache_read"),
                used.get("output_token_details", {}).get("reasoning"),
            ),
        )


if __name__ == "__main__":
    drive(sys.argv[1], Chat, LangChainException, OpenAIError, APIError)
