"""`pydantic-ai`: agents over four kinds of model. Tools are answered outside the run, as a user's own approval would."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic_ai import (
    Agent,
    AgentRunResultEvent,
    BinaryContent,
    DeferredToolRequests,
    DeferredToolResults,
    ExternalToolset,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ToolCallPart,
)
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition

from tests.clients.python.awaiting import awaited, let_go
from tests.clients.python.driving import Json, Reply, answer, call, drive, usage

FINISH = {"stop": "stop", "length": "length", "tool_call": "calls", "content_filter": "filter"}
THINKING: dict[str, Json] = {
    "chat": {"openai_reasoning_effort": "high"},
    "responses": {"openai_reasoning_effort": "high", "openai_reasoning_summary": "auto"},
    "anthropic": {"anthropic_thinking": {"type": "enabled", "budget_tokens": 2048}},
    "gemini": {"google_thinking_config": {"include_thoughts": True, "thinking_budget": 2048}},
}


@lru_cache
def _model(dialect: str, base_url: str, key: str, name: str) -> Model:
    if dialect == "anthropic":
        claude = AsyncAnthropic(base_url=base_url, api_key=key, max_retries=0)
        return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=claude))
    if dialect == "gemini":
        return GoogleModel(name, provider=GoogleProvider(api_key=key, base_url=base_url))
    client = AsyncOpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0)
    kind = OpenAIResponsesModel if dialect == "responses" else OpenAIChatModel
    return kind(name, provider=OpenAIProvider(openai_client=client))


class Conversation:
    def __init__(self, question: Json) -> None:
        self.question = question
        places = ("dialect", "base_url", "key", "model")
        outputs: Any = Reply if "schema" in question else [str, DeferredToolRequests]
        self.agent = Agent(
            _model(*(question[place] for place in places)),
            instructions=question.get("system"),
            output_type=outputs,
            toolsets=[ExternalToolset([_declared(one) for one in question.get("tools", [])])],
            model_settings=_settings(question),
        )
        self.history: list[Any] = []
        self.next: Json = {}

    def say(self, prompt: str, image: Json | None) -> None:
        content: Any = prompt
        if image:
            data = base64.b64decode(image["data"])
            content = [prompt, BinaryContent(data=data, media_type=image["mime"])]
        self.next = {"user_prompt": content}

    def give(self, results: list[tuple[Json, Json]]) -> None:
        answered = {called["id"]: result for called, result in results}
        self.next = {"deferred_tool_results": DeferredToolResults(calls=answered)}

    def hear(self) -> Json:
        asked = {"message_history": self.history, **self.next}
        if self.question.get("stream"):
            return awaited(self._streamed(asked))
        return self._seen(awaited(self.agent.run(**asked)))

    async def _streamed(self, asked: Json) -> Json:
        pieces: list[str] = []
        async with self.agent.run_stream_events(**asked) as events:
            async for event in events:
                if isinstance(event, AgentRunResultEvent):
                    return self._seen(event.result) | {"pieces": pieces}
                if text := _text_of(event):
                    pieces.append(text)
                if len(pieces) == self.question.get("leave_after"):
                    break
        await let_go()
        return answer(text="".join(pieces), pieces=pieces)

    def _seen(self, result: Any) -> Json:
        self.history = result.all_messages()
        response = result.response
        used, parts = response.usage, response.parts
        called = [part for part in parts if isinstance(part, ToolCallPart)]
        finish = FINISH[response.finish_reason]
        if called and self.question["dialect"] in ("gemini", "responses"):
            # There the reason is the same with and without calls, and it is shown as it came.
            finish = {"stop": "calls"}[finish]
        return answer(
            text="".join(part.content for part in parts if isinstance(part, TextPart)),
            thoughts="".join(part.content for part in parts if isinstance(part, ThinkingPart)),
            calls=[call(part.tool_call_id, part.tool_name, part.args_as_dict()) for part in called],
            finish=finish,
            usage=usage(
                used.input_tokens,
                used.output_tokens,
                used.cache_read_tokens,
                _thinking_tokens(used.details),
            ),
            parsed=result.output.model_dump() if isinstance(result.output, Reply) else None,
        )


def _declared(tool: Json) -> ToolDefinition:
    return ToolDefinition(
        name=tool["name"],
        description=tool["description"],
        parameters_json_schema=tool["parameters"],
    )


def _settings(question: Json) -> Any:
    settings = dict(THINKING[question["dialect"]]) if "effort" in question else {}
    if "temperature" in question:
        settings["temperature"] = question["temperature"]
    return settings


def _text_of(event: Any) -> str:
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _thinking_tokens(details: dict[str, int]) -> int | None:
    """OpenAI's name of it, and Google's."""
    return details.get("reasoning_tokens", details.get("thoughts_tokens"))


if __name__ == "__main__":
    drive("pydantic-ai-slim", Conversation, AgentRunError)
